"""Writing overlapped with the forward pass: a thread that compresses and commits while the next batch is computed."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from storage import Dump

Batch = dict[str, "Tensor"]


class _StoppedError(Exception):
    """The forward pass will bring nothing more; the row group in work is given up."""


class WriteBehind:
    """Takes batches of a dump's row groups in order and writes them in a thread of its own; a context manager.

    Leaving it waits until all is committed; leaving it by an exception gives up the row group in work at once. What
    goes wrong in the thread is raised by the next call, or on leaving.

    Parameters
    ----------
    job
        The dump.
    queue_bytes
        What may wait: `put` blocks beyond it, but one batch always fits.
    writers
        Threads that compress, several layers at a time.
    """

    def __init__(self, job: Dump, *, queue_bytes: int, writers: int = 1) -> None:
        self._job = job
        self._limit = queue_bytes
        self._writers = writers
        self._waiting: deque[tuple[int, Batch, int]] = deque()
        self._held_bytes = 0
        self._closed = self._stopped = False
        self._failure: BaseException | None = None
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="write-behind", daemon=True)
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
        self._thread.join()
        if kind is None:
            self._raise_failure()

    def _has_room(self, n_bytes: int) -> bool:
        return self._held_bytes == 0 or self._held_bytes + n_bytes <= self._limit

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            with ExitStack() as threads:
                pool = None
                if self._writers > 1:
                    pool = threads.enter_context(ThreadPoolExecutor(self._writers))
                while (row_group := self._next_row_group()) is not None:
                    with self._job.row_group(row_group, executor=pool) as writer:
                        while writer.n_rows:
                            writer.append(self._take())
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

    def _take(self) -> dict[str, npt.NDArray[np.floating]]:
        """Return the next batch in memory of this machine."""
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._closed)
            if self._stopped or not self._waiting:
                raise _StoppedError
            _, batch, n_bytes = self._waiting.popleft()
        stored = {name: as_array(batch[name]) for name in self._job.layers}
        with self._change:
            self._held_bytes -= n_bytes
            self._change.notify_all()
        return stored


def as_array(values: Tensor) -> npt.NDArray[np.floating]:
    """Return a tensor as an array of this machine's memory; bfloat16, which NumPy does not know, as float32."""
    known = values.float() if values.dtype == torch.bfloat16 else values
    return known.cpu().numpy()
