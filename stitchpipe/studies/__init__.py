"""Questions of the literature, answered from a table of results and nothing else."""

from stitchpipe.studies.finding import Finding, Outcome, StudyError
from stitchpipe.studies.findings import findings, findings_of
from stitchpipe.studies.stitches import LATE, LayerOrder, stitches

__all__ = ["LATE", "Finding", "LayerOrder", "Outcome", "StudyError", "findings", "findings_of", "stitches"]
