"""A number, or the reason why there is none: what every measure gives, whoever computes it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import isfinite
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self, TypeAlias

from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    from collections.abc import Mapping

OK: Final = "ok"
"""The status of a number that is there."""

EXTRAS: Final = {
    "rank": "how many directions it rests on, where something was inverted",
    "condition": "conditioning of those directions",
    "low": "lower end of a 95 % interval",
    "high": "upper end of a 95 % interval",
    "corrected": "the number less the bias that the jackknife finds in it: what ever more images would tend to",
    "p_value": "share of permuted images that reach it",
    "calibrated": "where it stands between the null's 95 % point (0) and its maximum (1)",
    "null_samples": "on how many images the null rests",
    "effect_size": "how many standard deviations of its null, known in closed form, it lies above the mean of it",
    "null_mean": "the mean of that null: what layers that have nothing in common score on average, at this n, p and q",
    "p_closed": "share of all orders of the images that reach it, by a Pearson III law with the null's three moments",
    "null_moments": "how many of the three are exact: 3, or 2 where the third is the one for ever more images",
    "null_gap": "how far the permuted null lies from the closed form, in standard errors of that many permutations",
    "p_family": "share of permutations under which some pair of its family stands as far above its own null",
    "p_by": "`p_value` adjusted over its family for the expected share of false discoveries",
    "calibrated_family": "where it stands between what the best of its family reaches in 5 % (0) and its maximum (1)",
    "auroc": "of a two-sided score: the one-sided AUROC, above ½ where stitched images are farther than native ones",
    "floor": "what two native samples of this size differ by",
    "warned": "1 where a detector passed its sanity check and yet takes stitched images for more native than native",
}
"""What may stand beside a number, and what it means. Each is a column of the results."""

WHOLE_EXTRAS: Final = frozenset({"rank", "null_samples", "null_moments", "warned"})
"""Those of them that are whole numbers."""

Extra: TypeAlias = float | int
_NONE: Mapping[str, Extra] = MappingProxyType({})


class NumberError(ExplainedError, ValueError):
    """A number contradicts itself: a value without status ok, the other way round, or one that is not finite."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number, or the reason why there is none.

    Attributes
    ----------
    value
        Finite; None where there is no number.
    status
        ``ok``, or one word for why there is none: ``constant``, ``diverged``, ``too_few_rows`` …
    reason
        The same in a sentence. Beside a value it may hold a remark, which nobody reads by program.
    extras
        Named numbers that belong beside the value; the names are those of `EXTRAS`.

    Raises
    ------
    NumberError
        See the class.
    """

    value: float | None
    status: str = OK
    reason: str | None = None
    extras: Mapping[str, Extra] = field(default_factory=lambda: _NONE)

    def __post_init__(self) -> None:
        if (self.status == OK) != (self.value is not None):
            raise NumberError(
                where="a number",
                expected=f"{'a value' if self.status == OK else 'no value'} with status '{self.status}'",
                found=str(self.value),
                remedy="Give a value with status 'ok', or None with the status that says why.",
            )
        for name, number in (("value", self.value), *self.extras.items()):
            if number is not None and not isfinite(number):
                raise NumberError(
                    where=f"a number, {name}",
                    expected="a finite number or None",
                    found=str(number),
                    remedy="Give a status that says why there is no number, and None.",
                )
        if unknown := self.extras.keys() - EXTRAS.keys():
            raise NumberError(
                where="a number",
                expected=f"extras among {', '.join(EXTRAS)}",
                found=", ".join(sorted(unknown)),
                remedy="Name it as the results do, or report it as a measure of its own.",
            )

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        """Let it travel between processes, which the empty mapping that it starts with would not."""
        return (type(self), (self.value, self.status, self.reason, dict(self.extras)))

    @classmethod
    def missing(cls, status: str, reason: str) -> Self:
        """Return the absence of a number."""
        return cls(None, status, reason)

    def beside(self, **extras: Extra | None) -> Self:
        """Return this number with more beside it; what is None is left out."""
        known = {name: value for name, value in extras.items() if value is not None}
        return replace(self, extras={**self.extras, **known})
