"""Questions of the literature, answered from the numbers of a run and what is known of its models, and nothing else."""

from stitchpipe.studies.chapter import STUDIES, answers, findings, study_named
from stitchpipe.studies.effect import Effect
from stitchpipe.studies.evidence import Evidence, of_deletions, of_layers
from stitchpipe.studies.facts import Facts, stages_of
from stitchpipe.studies.finding import Finding, Outcome, StudyError
from stitchpipe.studies.stitches import LATE, LayerOrder, stitches
from stitchpipe.studies.study import Answer, Need, Study

__all__ = [
    "LATE",
    "STUDIES",
    "Answer",
    "Effect",
    "Evidence",
    "Facts",
    "Finding",
    "LayerOrder",
    "Need",
    "Outcome",
    "Study",
    "StudyError",
    "answers",
    "findings",
    "of_deletions",
    "of_layers",
    "stages_of",
    "stitches",
    "study_named",
]
