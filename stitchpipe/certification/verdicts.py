"""What a share of repeats says, given how many there were: a word, judged with its Monte-Carlo error."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Final, Literal, TypeAlias

Word: TypeAlias = Literal[
    "within", "over-covers", "under-covers", "too often", "at a limit", "too few repeats"
]

COVERAGE: Final = 0.93, 0.97
"""Between what the coverage of nominal 95 % intervals is to lie."""
SIZE: Final = 0.06
"""What the share of false findings at a nominal 5 % is to be at most."""
_Z: Final = 1.96
WIDE: Final = 0.03
"""Half of an interval of a share beyond which it cannot say whether a coverage lies well."""
FAR_TOO_OFTEN: Final = 0.10
"""False findings that an interval of a share must exclude before it says anything for a null."""


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
        return self._centre - self.half

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return self._centre + self.half

    @property
    def _centre(self) -> float:
        return (self.count + _Z**2 / 2) / (self.repeats + _Z**2)

    @property
    def half(self) -> float:
        """Half of the interval's length."""
        share, n = self.value, self.repeats
        return _Z * sqrt(n * share * (1 - share) + _Z**2 / 4) / (n + _Z**2)


def coverage_word(share: Share) -> Word:
    """Return what a coverage is called: within the band or beyond it only where the whole interval of the share is."""
    least, most = COVERAGE
    if share.high < least:
        return "under-covers"
    if share.low > most:
        return "over-covers"
    if share.half > WIDE:
        return "too few repeats"
    return "within" if least <= share.low and share.high <= most else "at a limit"


def size_word(share: Share) -> Word:
    """Return what a share of false findings is called; fewer than the nominal level are no fault.

    A test that keeps its level finds 5 %, near what is wanted at most, so that most cells contain that limit. What
    they say is that 6 % is possible and `FAR_TOO_OFTEN` is not.
    """
    if share.low > SIZE:
        return "too often"
    if share.high >= FAR_TOO_OFTEN:
        return "too few repeats"
    return "within" if share.high <= SIZE else "at a limit"
