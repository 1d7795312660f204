"""All studies, in the order of the argument, and what the numbers of a run say to each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stitchpipe.errors import nearest
from stitchpipe.studies.along_depth import DEPTH
from stitchpipe.studies.budget import BUDGETS
from stitchpipe.studies.control_pairs import CONTROLS
from stitchpipe.studies.correspondence import CORRESPONDENCE
from stitchpipe.studies.data_sets import DATA_SETS
from stitchpipe.studies.distance import DISTANCE
from stitchpipe.studies.distribution import OOD
from stitchpipe.studies.finding import StudyError
from stitchpipe.studies.objectives import DM_OR_NOT
from stitchpipe.studies.own_layer import SELF
from stitchpipe.studies.sample_sizes import SAMPLES
from stitchpipe.studies.which_index import WHICH_INDEX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stitchpipe.studies.evidence import Evidence
    from stitchpipe.studies.finding import Finding
    from stitchpipe.studies.study import Answer, Study

STUDIES: Final[dict[str, Study]] = {study.name: study for study in (
    SELF, CORRESPONDENCE, DISTANCE, OOD, BUDGETS, DM_OR_NOT, SAMPLES, CONTROLS, DATA_SETS, WHICH_INDEX, DEPTH,
)}  # fmt: skip
"""Every study by its name."""


def study_named(name: str) -> Study:
    """Return a study; StudyError with the nearest names where there is none."""
    try:
        return STUDIES[name]
    except KeyError:
        raise StudyError(
            where="study",
            expected=f"one of {', '.join(STUDIES)}",
            found=f"'{name}'",
            remedy=nearest(name, STUDIES) or "`stitchpipe study` lists them with their questions.",
        ) from None


def answers(evidence: Evidence) -> list[Answer]:
    """Return what a run says to the question of every study, and what it lacks.

    Raises
    ------
    StudyError
        Two numbers for the same thing, or a layer that the facts do not have.

    Notes
    -----
    Time O(rows) for each study. Every accuracy is relative to the target network's own, on the split that was scored.
    """
    return [study.answer(evidence) for study in STUDIES.values()]


def findings(told: Iterable[Answer]) -> list[Finding]:
    """Return the findings of all answers, in their order."""
    return [finding for answer in told for finding in answer.findings]
