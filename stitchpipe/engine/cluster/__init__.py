"""Comparisons carried out on Dask: the only room of the engine that imports it."""

from stitchpipe.engine.cluster.cluster import Cluster, ExecutionError, SchedulerError
from stitchpipe.engine.cluster.execution import WorkerLostError, execute, execute_images

__all__ = [
    "Cluster",
    "ExecutionError",
    "SchedulerError",
    "WorkerLostError",
    "execute",
    "execute_images",
]
