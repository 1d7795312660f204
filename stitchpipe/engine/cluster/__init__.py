"""Comparisons carried out on Dask: the only room of the engine that imports it."""

from stitchpipe.engine.cluster.cluster import Cluster, ExecutionError, SchedulerError
from stitchpipe.engine.cluster.execute import Job, WorkerLostError, execute, execute_images

__all__ = [
    "Cluster",
    "ExecutionError",
    "Job",
    "SchedulerError",
    "WorkerLostError",
    "execute",
    "execute_images",
]
