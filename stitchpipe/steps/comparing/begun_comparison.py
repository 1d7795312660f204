"""A comparison that was begun: noted, so that a killed run is planned again as it was and finds its leaves."""

from __future__ import annotations

import base64
import zlib
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from stitchpipe.engine import Pairs
from stitchpipe.run.names import LayerName

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stitchpipe.rows import View
    from storage import CheckedFiles

_Matrix: TypeAlias = npt.NDArray[np.bool_]

RECORD: Final = "comparison"


class BegunComparison:
    """The pairs that a comparison was planned for.

    A plan follows from all its pairs, and leaves are kept under a digest of it. If an earlier run was planned for
    these pairs and some more, which are done, it is planned for the same again.

    Parameters
    ----------
    layers
        What the places in `pairs` are of.
    pairs
        What is still missing, by view.

    Attributes
    ----------
    planned
        What to plan for: `pairs`, or those and the ones that the killed run had finished.
    """

    def __init__(self, files: CheckedFiles, layers: Sequence[LayerName], pairs: Mapping[View, Pairs]) -> None:
        self._files, self._layers = files, layers
        missing = {view: of_view.among(len(layers)) for view, of_view in pairs.items()}
        before = self._before()
        # What is missing now is part of what was planned before, so this run goes on with the old plan.
        # Anything new needs a plan of its own.
        is_again = before is not None and before.keys() == missing.keys()
        is_again = is_again and not any(
            (missing[view] & ~of_view).any() for view, of_view in (before or {}).items()
        )
        self.planned: Mapping[View, Pairs] = pairs
        if is_again and before is not None:
            self.planned = {view: Pairs(of_view) for view, of_view in before.items()}
        else:
            views = {view: _text(of_view) for view, of_view in missing.items()}
            files.put_record(
                RECORD, {"layers": [[name.model, name.layer] for name in layers], "views": views}
            )

    def _before(self) -> dict[View, _Matrix] | None:
        """Return the pairs on record, by the layers of now; None where there are none, or of layers that are gone."""
        record: Mapping[str, Any] = self._files.record(RECORD) or {}
        if "layers" not in record:
            return None
        place = {name: number for number, name in enumerate(self._layers)}
        layers = [LayerName(*name) for name in record["layers"]]
        if not place.keys() >= set(layers):
            return None
        places = np.array([place[name] for name in layers], np.int64)
        before = {}
        for view, text in record["views"].items():
            matrix = np.zeros((len(place), len(place)), np.bool_)
            matrix[np.ix_(places, places)] = _matrix(text, len(places))
            before[cast("View", view)] = matrix
        return before

    def finish(self) -> None:
        """Forget it: everything planned is done."""
        self._files.remove_record(RECORD)


def _text(matrix: _Matrix) -> str:
    """Return a matrix as text: a bit for each pair, compressed."""
    return base64.b64encode(zlib.compress(np.packbits(matrix).tobytes())).decode()


def _matrix(text: str, n: int) -> _Matrix:
    bits = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    return np.unpackbits(bits, count=n * n).astype(np.bool_).reshape(n, n)
