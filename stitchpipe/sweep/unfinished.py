"""A comparison that was begun: noted, so that a killed run is planned again as it was and finds its leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias, cast

from stitchpipe.rows import View
from stitchpipe.sweep.folder import read_record, write_record
from stitchpipe.sweep.jobs import LayerName

if TYPE_CHECKING:
    from stitchpipe.sweep.folder import Folder

Pairs: TypeAlias = Mapping[View, frozenset[tuple[LayerName, LayerName]]]


class Unfinished:
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

    def __init__(self, folder: Folder, pairs: Pairs) -> None:
        self._path = folder.unfinished
        before = self._before()
        again = before.keys() == pairs.keys() and all(pairs[view] <= before[view] for view in pairs)
        self.planned: Pairs = before if again else pairs
        if not again:
            write_record(self._path, {view: sorted(map(_names, of_view)) for view, of_view in pairs.items()})

    def _before(self) -> Pairs:
        record = read_record(self._path) or {}
        return {
            cast("View", view): frozenset((LayerName(*pair[:2]), LayerName(*pair[2:])) for pair in pairs)
            for view, pairs in record.items()
        }

    def finish(self) -> None:
        """Forget it: everything planned is done."""
        self._path.unlink(missing_ok=True)


def _names(pair: tuple[LayerName, LayerName]) -> tuple[str, str, str, str]:
    source, target = pair
    return source.model, source.layer, target.model, target.layer
