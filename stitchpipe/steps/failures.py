"""What a run ends with where some of its units failed and the others went on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_LISTED: Final = 20
"""Units that one message shows."""


class UnitsFailedError(ExplainedError, RuntimeError):
    """Units of work failed; everything that does not depend on them was done.

    Attributes
    ----------
    failed
        The reason of each, by the unit's name.
    left_out
        The models that later units had to do without.
    """

    def __init__(
        self, out: str, failed: Mapping[str, str], *, of: int, left_out: Sequence[str], is_tried_again: bool
    ) -> None:
        self.failed, self.left_out = dict(failed), tuple(left_out)
        lines = [f"{unit}: {reason}" for unit, reason in failed.items()]
        more = len(lines) - MOST_LISTED
        lines = lines[:MOST_LISTED] + [f"… and {more} more"] * (more > 0)
        without = f" Without {', '.join(left_out)} the rest was done." if left_out else ""
        again = (
            "The same command tries again what may pass or be mended; what fails by itself needs --retry-failed."
            if is_tried_again
            else "They fail by themselves: with --retry-failed they are tried again."
        )
        super().__init__(
            where=out,
            expected="units of work that all end well",
            found=f"{len(failed)} of {of} that failed",
            remedy=f"{again}{without}" + "".join(f"\n- {line}" for line in lines),
        )


def demand_none_failed(out: str, told: Mapping[str, Any]) -> None:
    """Raise the error of a command that is on record with what failed by itself; nothing where nothing did."""
    if told:
        raise UnitsFailedError(
            out, told["units"], of=told["of"], left_out=told["left out"], is_tried_again=False
        )
