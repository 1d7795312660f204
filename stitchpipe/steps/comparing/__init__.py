"""The step that compares: what is missing, the engine's run for it, and what becomes results."""

from stitchpipe.steps.comparing.compare import compare, fit_maps
from stitchpipe.steps.comparing.engine_run import cluster_of
from stitchpipe.steps.comparing.persevering import on_cluster

__all__ = ["cluster_of", "compare", "fit_maps", "on_cluster"]
