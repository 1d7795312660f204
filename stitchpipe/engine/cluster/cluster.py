"""Where comparisons are carried out: the Dask cluster of a process, started when the first of them needs it."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

import dask
from distributed import CancelledError, Client, LocalCluster
from distributed.comm.core import CommClosedError

from stitchpipe.engine.cluster.gpus import deal_gpus
from stitchpipe.errors import ExplainedError, named_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

_WORKERS: Final = {"distributed.worker.memory.pause": False, "distributed.worker.profile.enabled": False}
"""Of local workers: what they hold is planned. One that paused for room that its libraries take would wait for ever.
A profile that nobody looks at would wake each of them a hundred times a second."""
PATIENCE_S = 10
"""How long a named scheduler may take to answer, and to have a worker."""


class ExecutionError(ExplainedError, RuntimeError):
    """A comparison could not be carried out: says where, what was expected, what was found and what to do."""


class SchedulerError(ExecutionError):
    """No Dask scheduler answers where one was named."""


class LostSchedulerError(ExecutionError):
    """The Dask scheduler was lost in the middle of the work."""


class Cluster:
    """Worker processes of one thread each, here or behind the address of a scheduler.

    Nothing is started, and nobody is asked, before `client` is used for the first time: a comparison that finds all
    its numbers needs no workers. One cluster serves any number of comparisons, one after the other. Leaving its
    context ends local workers, and closes the connection to a named scheduler, which goes on.

    Parameters
    ----------
    scheduler
        Address of a running scheduler, ``tcp://host:port``; None: a local cluster. What follows is for local ones.
    workers
        How many processes.
    memory_limit_bytes
        Of each of them.
    gpus
        Where products are formed on GPUs, how many there are here: there is a worker for each, but no more than
        `workers`, and each sees one.
    patience_s
        How long a named scheduler may take to answer, and to have a worker; default: `PATIENCE_S`.
    in_this_process
        Have one thread of this process as the worker: for a script or a notebook, which new processes would run again.
        Memory is then this process's own.
    """

    def __init__(
        self,
        scheduler: str | None = None,
        *,
        workers: int,
        memory_limit_bytes: int,
        gpus: int = 0,
        patience_s: float | None = None,
        in_this_process: bool = False,
    ) -> None:
        self._in_this_process = in_this_process
        self._patience_s = PATIENCE_S if patience_s is None else patience_s
        self._scheduler, self._memory_limit_bytes = scheduler, memory_limit_bytes
        self._workers, self._gpus = min(workers, gpus) if gpus else workers, gpus
        self._client: Client | None = None
        self._opened = ExitStack()

    @property
    def client(self) -> Client:
        """Return the client, the same one until the cluster is left.

        Raises
        ------
        SchedulerError
            Nothing answers at the address, it has no workers, or they cannot import this package.
        """
        if self._client is None:
            scheduler = self._scheduler
            self._client = self._started() if scheduler is None else self._connected(scheduler)
        return self._client

    @contextmanager
    def watched(self) -> Iterator[Client]:
        """Yield the client for a block of work.

        Raises
        ------
        LostSchedulerError
            The scheduler was lost inside the block. The cluster is of no use any more; another one may be.
        SchedulerError
            As `client`.
        """
        client = self.client
        try:
            yield client
        except (CancelledError, CommClosedError) as error:
            raise LostSchedulerError(
                where="the comparison",
                expected=f"a Dask scheduler ({self._scheduler or 'a local one'}) that lives to its end",
                found=f"that it was lost ({named_line(error)})",
                remedy="What was finished is kept, and the same command goes on from there.",
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client = None
        self._opened.close()

    def _started(self) -> Client:
        """Start a local cluster."""
        enter = self._opened.enter_context
        enter(dask.config.set(_WORKERS))
        local = enter(
            LocalCluster(
                n_workers=1 if self._in_this_process else self._workers,
                threads_per_worker=1,
                processes=not self._in_this_process,
                memory_limit=0 if self._in_this_process else self._memory_limit_bytes,
                dashboard_address="127.0.0.1:0",  # any free port, never the network
                host="127.0.0.1",
                protocol="tcp://",  # within a process it would be another one, which has no such host
                silence_logs="CRITICAL",  # a failed task is raised by whoever asked for it, as what it is
            )
        )
        client: Client = enter(Client(local, set_as_default=False))
        if self._gpus:
            deal_gpus(client, self._gpus)
        return client

    def _connected(self, scheduler: str) -> Client:
        """Connect to a running cluster whose workers can do our work."""
        try:
            client: Client = self._opened.enter_context(
                Client(scheduler, timeout=self._patience_s, set_as_default=False)
            )
            client.wait_for_workers(1, timeout=self._patience_s)
            # By name, in a string: a worker without our package could not even unpickle a function of ours.
            client.run(exec, "import stitchpipe.engine.cluster")
        except (OSError, ValueError, ImportError) as error:
            raise _scheduler_error(scheduler, error) from None
        return client


def _scheduler_error(scheduler: str, error: Exception) -> SchedulerError:
    return SchedulerError(
        where="--scheduler",
        expected=f"a Dask cluster at {scheduler} whose workers have stitchpipe installed",
        found=named_line(error),
        remedy="Start one (`dask scheduler`, `dask worker`), correct the address, or leave the option out.",
    )
