"""Writing one row group: the shards of all layers of a set, built side by side, then their marker."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

from storage.errors import LayoutError
from storage.writing.shard import ShardWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Executor
    from typing import Self

    import numpy.typing as npt

    from storage.format import ShardRecord
    from storage.writing.shard import ShardSlot


class RowGroupWriter:
    """Takes the rows of one row group batch by batch; a context manager, made by `Dump.row_group`.

    When it ends without an exception and all rows were appended, the shards are durable and the marker stands; when
    it ends otherwise, nothing of the row group was committed.

    Attributes
    ----------
    row_group
        Its number.
    n_rows
        Rows it still waits for.
    """

    def __init__(
        self,
        row_group: int,
        slots: Mapping[str, ShardSlot],
        *,
        sample_ids: Sequence[str],
        mark: Callable[[Mapping[str, ShardRecord]], None],
        executor: Executor | None,
    ) -> None:
        self.row_group = row_group
        self._ids = sample_ids
        self._mark = mark
        self._map = map if executor is None else executor.map
        self._writers = {layer: ShardWriter(slot) for layer, slot in slots.items()}
        self._done = 0

    @property
    def n_rows(self) -> int:
        """Rows it still waits for."""
        return len(self._ids) - self._done

    def append(self, blocks: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take the next rows: layer → ``(n, *shape)``, the same n rows of every layer.

        Layers that are sealed already may be there and are ignored.

        Raises
        ------
        LayoutError
            Layers are missing, more rows than the row group has, or samples of another shape.
        NonFiniteError, RangeError
            Activations that must not be stored.
        WriteError
            The place refused.
        """
        absent = sorted(set(self._writers) - set(blocks))
        rows = {layer: len(np.atleast_1d(blocks[layer])) for layer in self._writers if layer in blocks}
        n = next(iter(rows.values()), 0)
        if absent or set(rows.values()) - {n} or n > self.n_rows:
            found = (
                f"missing {absent}"
                if absent
                else ", ".join(f"{k} rows of {name}" for name, k in rows.items())
            )
            raise LayoutError(
                where=f"row group {self.row_group}",
                expected=f"the same rows of all {len(self._writers)} layers, at most {self.n_rows} rows",
                found=found,
                remedy="Append every batch once, with all layers, in the order of the split.",
            )
        ids = self._ids[self._done : self._done + n]
        for _ in self._map(
            lambda layer: self._writers[layer].append(np.asarray(blocks[layer]), ids), self._writers
        ):
            pass
        self._done += n

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        with ExitStack() as cleaning:
            for writer in self._writers.values():
                cleaning.callback(writer.discard)
            if kind is None:
                self._commit()

    def _commit(self) -> None:
        """Commit every shard, then the marker that vouches for them."""
        if self.n_rows:
            raise LayoutError(
                where=f"row group {self.row_group}",
                expected=f"{len(self._ids)} rows (the whole row group)",
                found=f"{self._done} rows",
                remedy="Append the missing rows before the row group is closed; nothing of it was stored.",
            )
        # The marker comes last: when it stands, every shard it vouches for is durable.
        records = self._map(lambda layer: self._writers[layer].commit(), self._writers)
        self._mark(dict(zip(self._writers, records, strict=True)))
