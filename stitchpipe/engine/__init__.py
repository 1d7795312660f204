"""All pairs of layers from one reading of them: a plan, the moments it forms, and the numbers that come out.

What can be said and planned before anything runs is here; `stitchpipe.engine.cluster` carries it out on Dask, and is
a door of its own, so that whoever plans or reads results does not import a scheduler.
"""

from stitchpipe.engine.live import LiveBlock, LiveImages, LiveLeaves, LiveSplit
from stitchpipe.engine.moments.finalise import without_grid
from stitchpipe.engine.moments.moment_comparison import MapDestination, MomentComparison
from stitchpipe.engine.numbers import PairNumber, PairNumbers
from stitchpipe.engine.planning.chunks import Chunk
from stitchpipe.engine.planning.comparison import Comparison, fits, indices_of_images
from stitchpipe.engine.planning.cost import Cost
from stitchpipe.engine.planning.memory import WORKER_BYTES, beside_worker_bytes
from stitchpipe.engine.planning.pairs import Pairs
from stitchpipe.engine.planning.plan import Plan, PlanError
from stitchpipe.engine.planning.shapes import LayerShape, SplitShape
from stitchpipe.engine.rehearsal import LayerQuestions, Seconds, layer_seconds, rehearsed
from stitchpipe.engine.resources import NotKeptError, TaskResources
from stitchpipe.engine.samples.image_comparison import ImageComparison
from stitchpipe.engine.single_layers import LayerTask, LayerWork, MeasuredLayer

__all__ = [
    "WORKER_BYTES",
    "Chunk",
    "Comparison",
    "Cost",
    "ImageComparison",
    "LayerQuestions",
    "LayerShape",
    "LayerTask",
    "LayerWork",
    "LiveBlock",
    "LiveImages",
    "LiveLeaves",
    "LiveSplit",
    "MapDestination",
    "MeasuredLayer",
    "MomentComparison",
    "NotKeptError",
    "PairNumber",
    "PairNumbers",
    "Pairs",
    "Plan",
    "PlanError",
    "Seconds",
    "SplitShape",
    "TaskResources",
    "beside_worker_bytes",
    "fits",
    "indices_of_images",
    "layer_seconds",
    "rehearsed",
    "without_grid",
]
