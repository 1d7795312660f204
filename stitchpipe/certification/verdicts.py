"""What a share of repeats says, given how many there were: a word, judged with its Monte-Carlo error."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Final, Literal, TypeAlias

Word: TypeAlias = Literal["within", "over-covers", "under-covers", "too often", "too few repeats"]

COVERAGE: Final = 0.93, 0.97
"""Between what the coverage of nominal 95 % intervals is to lie."""
SIZE: Final = 0.06
"""What the share of false findings at a nominal 5 % is to be at most."""
_Z: Final = 1.96
WIDE: Final = 0.03
"""Half of an interval of a share beyond which a share that lies well says nothing."""


@dataclass(frozen=True, slots=True)
class Share:
    """How many of some repeats did something.

    Attributes
    ----------
    low, high
        A 95 % interval of the chance that a repeat does: Wilson 1927.
    """

    count: int
    repeats: int

    @property
    def value(self) -> float:
        """The share."""
        return self.count / self.repeats

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return self._centre - self._half

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return self._centre + self._half

    @property
    def _centre(self) -> float:
        return (self.count + _Z**2 / 2) / (self.repeats + _Z**2)

    @property
    def _half(self) -> float:
        share, n = self.value, self.repeats
        return _Z * sqrt(n * share * (1 - share) + _Z**2 / 4) / (n + _Z**2)

    @property
    def is_wide(self) -> bool:
        """Whether there were too few repeats for a share to say that all is well."""
        return self._half > WIDE


def coverage_word(share: Share) -> Word:
    """Return what a coverage is called: beyond the band only where the whole interval of the share is."""
    least, most = COVERAGE
    if share.high < least:
        return "under-covers"
    if share.low > most:
        return "over-covers"
    is_inside = least <= share.value <= most
    return "within" if is_inside and not share.is_wide else "too few repeats"


def size_word(share: Share) -> Word:
    """Return what a share of false findings is called; fewer than the nominal level are no fault."""
    if share.low > SIZE:
        return "too often"
    is_inside = share.value <= SIZE
    return "within" if is_inside and not share.is_wide else "too few repeats"
