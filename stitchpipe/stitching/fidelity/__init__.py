"""How far a stitched network does what its target does: one file per measure, its facts beside its formula."""

from stitchpipe.stitching.fidelity.accuracy import ACCURACY
from stitchpipe.stitching.fidelity.agreement import AGREEMENT
from stitchpipe.stitching.fidelity.answers import Answers, Fidelity
from stitchpipe.stitching.fidelity.class_accuracy import CLASS_ACCURACY, by_class
from stitchpipe.stitching.fidelity.feature_distance import FEATURE_DISTANCE, NO_LOGITS
from stitchpipe.stitching.fidelity.kl import KL
from stitchpipe.stitching.fidelity.relative_accuracy import RELATIVE_ACCURACY

__all__ = ["CLASS_ACCURACY", "FEATURE_DISTANCE", "FIDELITY", "NO_LOGITS", "Answers", "Fidelity", "by_class"]

FIDELITY = {fidelity.measure.name: fidelity for fidelity in (ACCURACY, RELATIVE_ACCURACY, AGREEMENT, KL)}
"""What every stitch is judged by, by name, in the order of its results; each class is judged beside (`by_class`)."""
