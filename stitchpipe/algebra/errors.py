"""What can be wrong with rows, with moments, or with the question asked of them."""

from __future__ import annotations

from stitchpipe.errors import ExplainedError


class AlgebraError(ExplainedError, ValueError):
    """What the mathematics refuses; the four parts are attributes."""


class RowsError(AlgebraError):
    """The arrays handed in are not usable rows: wrong shape, other row count, not finite, not numbers."""


class MomentsError(AlgebraError):
    """Moments do not fit each other, have overflowed, or lack what an index needs."""


class BackendError(AlgebraError):
    """An array library cannot compute where it was asked to."""


class UndefinedIndexError(AlgebraError):
    """The index has no value for these data. ``status`` says why in one word, ``reason`` in a sentence.

    Statuses: ``constant`` (no variation), ``too_few_rows`` (dimension counting forces the value, or the
    estimator does not exist), ``degenerate`` (the denominator vanishes although the rows vary),
    ``different_classes`` (predictions over unlike classes); for an interval ``too_few_groups``,
    ``undefined_without_a_group``.
    """

    def __init__(self, *, status: str, where: str, expected: str, found: str, remedy: str) -> None:
        self.status = status
        super().__init__(where=where, expected=expected, found=found, remedy=remedy)

    @property
    def reason(self) -> str:
        """The refusal without the name of the index, as it stands in a results table."""
        return f"expected {self.expected}, found {self.found}"
