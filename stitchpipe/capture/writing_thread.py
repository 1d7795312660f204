"""Writing beside the forward pass: a thread compresses and commits row groups while the next batch is computed."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

from stitchpipe.capture.stored_values import as_array

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from storage import Dump

Batch = dict[str, "Tensor"]
"""Layer → the rows of some adjacent samples."""


class _StoppedError(Exception):
    """The forward pass will bring nothing more; the row group in work is given up."""


class WritingThread:
    """Takes batches of a dump's row groups in order and writes them in a thread of its own; a context manager.

    Leaving it waits until all is committed; leaving it by an exception gives up the row group in work at once. What
    goes wrong in the thread is raised by the next call, or on leaving.

    Parameters
    ----------
    dump
        The dump that is written.
    queue_bytes
        What may wait: `put` blocks beyond it, but one batch always fits.
    writers
        Threads that compress, several layers at a time.

    Attributes
    ----------
    committed
        Row groups that are written for good.
    """

    # Two threads share the queue, its bytes, the two flags and the failure. All are read and changed under one
    # condition, whose waiters are woken whenever any of them changes; the slow work (copying a batch to this machine's
    # memory, compressing, committing) is done outside of it.

    def __init__(self, dump: Dump, *, queue_bytes: int, writers: int = 1) -> None:
        self._dump = dump
        self._limit_bytes = queue_bytes
        self._writers = writers
        self._waiting: deque[tuple[int, Batch, int]] = deque()
        self._held_bytes = 0
        self._closed = self._stopped = False
        self._failure: BaseException | None = None
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="dump-writer", daemon=True)
        self.committed = 0

    def put(self, row_group: int, batch: Mapping[str, Tensor]) -> None:
        """Hand over the next rows of a row group; blocks while too much waits.

        Raises
        ------
        storage.StoreError
            What went wrong while earlier batches were written.
        """
        n_bytes = sum(values.nbytes for values in batch.values())
        with self._change:
            self._change.wait_for(lambda: self._failure is not None or self._has_room(n_bytes))
            self._raise_failure()
            self._waiting.append((row_group, dict(batch), n_bytes))
            self._held_bytes += n_bytes
            self._change.notify_all()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        with self._change:
            self._closed, self._stopped = True, kind is not None
            self._change.notify_all()
        # The join comes on both ways out, so that no thread still writes to the dump after the block.
        self._thread.join()
        if kind is None:
            self._raise_failure()

    def _has_room(self, n_bytes: int) -> bool:
        # A batch larger than the limit is let in alone: otherwise it would wait for ever.
        return self._held_bytes == 0 or self._held_bytes + n_bytes <= self._limit_bytes

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        """Write row group after row group until the queue is closed and empty: the body of the thread."""
        try:
            with ExitStack() as threads:
                pool = None
                if self._writers > 1:
                    pool = threads.enter_context(ThreadPoolExecutor(self._writers))
                while (row_group := self._next_row_group()) is not None:
                    # The writer commits when it is left without an exception. A stop is raised as one, so
                    # that half a row group is never committed.
                    with self._dump.row_group(row_group, executor=pool) as writer:
                        while writer.n_rows:  # rows that the row group still lacks
                            writer.append(self._next_batch())
                    self.committed += 1
        except _StoppedError:
            pass
        except BaseException as error:  # noqa: BLE001  (it is raised again where the batches come from)
            with self._change:
                self._failure = error
                self._change.notify_all()

    def _next_row_group(self) -> int | None:
        """Return the row group of the next batch; None when all is done."""
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._closed)
            return None if self._stopped or not self._waiting else self._waiting[0][0]

    def _next_batch(self) -> dict[str, npt.NDArray[np.floating]]:
        """Return the next batch in memory of this machine."""
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._closed)
            if self._stopped or not self._waiting:
                raise _StoppedError
            _, batch, n_bytes = self._waiting.popleft()
        stored = {name: as_array(batch[name]) for name in self._dump.layers}
        # Only now: until here the batch has been held in both forms.
        with self._change:
            self._held_bytes -= n_bytes
            self._change.notify_all()
        return stored
