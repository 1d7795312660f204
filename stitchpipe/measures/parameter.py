"""The one number that a measure may be given, in parentheses behind its name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Parameter:
    """The one number that a measure or a family of maps may be given: the 0.1 in ``gulp(0.1)``.

    Attributes
    ----------
    symbol, meaning
        What it is called in the formula, and what it does.
    value
        Of this measure; where it is declared, the default.
    largest
        Values are above 0 and at most this; whole numbers where `whole`.
    label
        How it stands in a title, a format of the value.
    """

    symbol: str
    meaning: str
    value: float
    largest: float
    label: str
    whole: bool = False

    @property
    def allowed(self) -> str:
        """The values there may be, in words."""
        bound = (
            f"0 < {self.symbol} ≤ {self.largest:g}" if self.largest < float("inf") else f"{self.symbol} > 0"
        )
        return f"a whole number {bound}" if self.whole else bound

    def allows(self, value: float) -> bool:
        """Whether the measure is defined for this value."""
        return 0.0 < value <= self.largest and value != float("inf") and (not self.whole or value % 1 == 0)
