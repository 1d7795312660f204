"""Comparisons carried out on Dask: the only room of the engine that imports it."""

from stitchpipe.engine.cluster.cluster import Cluster, ExecutionError, LostSchedulerError, SchedulerError
from stitchpipe.engine.cluster.execution import WorkerLostError, execute, execute_images
from stitchpipe.engine.cluster.layer_execution import execute_layers

__all__ = [
    "Cluster",
    "ExecutionError",
    "LostSchedulerError",
    "SchedulerError",
    "WorkerLostError",
    "execute",
    "execute_images",
    "execute_layers",
]
