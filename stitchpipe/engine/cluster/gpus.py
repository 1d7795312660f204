"""GPUs dealt out to the workers of a local cluster, one each; a named cluster's workers have theirs already."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from distributed import WorkerPlugin

if TYPE_CHECKING:
    from distributed import Client

VISIBLE = "CUDA_VISIBLE_DEVICES"


class OneGpuEach(WorkerPlugin):
    """Shows each worker one GPU, by its number in the cluster, before it imports anything that looks for them.

    Parameters
    ----------
    names
        The GPUs, as `CUDA_VISIBLE_DEVICES` names them.
    """

    name = "one-gpu-each"

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def setup(self, worker: Any) -> None:
        """Set what the worker sees; called when it starts, and when it starts again after a death."""
        os.environ[VISIBLE] = self.names[int(worker.name) % len(self.names)]


def deal_gpus(client: Client, count: int) -> None:
    """Give each worker of a local cluster one of the first `count` GPUs that this process sees."""
    seen = os.environ.get(VISIBLE)
    names = seen.split(",") if seen else list(map(str, range(count)))
    client.register_plugin(OneGpuEach(tuple(name.strip() for name in names[:count])))
