"""What a stitching layer may be trained for: one file per objective, its facts beside its loss.

An installed package adds an objective of its own through an entry point::

    [project.entry-points."stitchpipe.objectives"]
    margin = "my_package.margin:MARGIN"

where ``MARGIN`` is an `Objective` of the same name. A sweep names it: ``objectives = ["margin"]``.
"""

from stitchpipe.plugins import Plugins, Registry
from stitchpipe.stitching.errors import StitchError
from stitchpipe.stitching.objectives.direct_matching import DIRECT_MATCHING
from stitchpipe.stitching.objectives.fula import FULA
from stitchpipe.stitching.objectives.hard_labels import HARD_LABELS
from stitchpipe.stitching.objectives.objective import Behind, Need, Objective, Step
from stitchpipe.stitching.objectives.penultimate import PENULTIMATE
from stitchpipe.stitching.objectives.soft_labels import SOFT_LABELS

__all__ = ["OBJECTIVES", "Behind", "Need", "Objective", "Step"]

OBJECTIVES = Registry(
    (HARD_LABELS, SOFT_LABELS, DIRECT_MATCHING, FULA, PENULTIMATE),
    Plugins("stitchpipe.objectives", "training: objective", StitchError),
    Objective,
)
"""Every objective by its name: our own, and those that installed packages add."""
