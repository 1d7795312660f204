"""A comparison that was begun: noted, so that a killed run is planned again as it was and finds its leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from stitchpipe.rows import View
from stitchpipe.run.names import LayerName, Pair

if TYPE_CHECKING:
    from storage import CheckedFiles

Pairs: TypeAlias = Mapping[View, frozenset[Pair]]

RECORD: Final = "comparison"


class BegunComparison:
    """The pairs that a comparison was planned for.

    A plan follows from all its pairs, and leaves are kept under a digest of it. If an earlier run was planned for
    these pairs and some more, which are done, it is planned for the same again.

    Parameters
    ----------
    pairs
        What is still missing, by view.

    Attributes
    ----------
    planned
        What to plan for: `pairs`, or those and the ones that the killed run had finished.
    """

    def __init__(self, files: CheckedFiles, pairs: Pairs) -> None:
        self._files = files
        before = self._before()
        # What is missing now is part of what was planned before, so this run goes on with the old plan.
        # Anything new needs a plan of its own.
        is_again = before.keys() == pairs.keys() and all(pairs[view] <= before[view] for view in pairs)
        self.planned: Pairs = before if is_again else pairs
        if not is_again:
            noted = {view: sorted(map(_names, of_view)) for view, of_view in pairs.items()}
            files.put_record(
                RECORD, {view: [list(names) for names in pairs] for view, pairs in noted.items()}
            )

    def _before(self) -> Pairs:
        record = self._files.record(RECORD) or {}
        return {
            cast("View", view): frozenset((LayerName(*pair[:2]), LayerName(*pair[2:])) for pair in pairs)
            for view, pairs in record.items()
        }

    def finish(self) -> None:
        """Forget it: everything planned is done."""
        self._files.remove_record(RECORD)


def _names(pair: Pair) -> tuple[str, str, str, str]:
    source, target = pair
    return source.model, source.layer, target.model, target.layer
