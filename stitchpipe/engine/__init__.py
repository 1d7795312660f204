"""All pairs of layers from one reading of them: a plan, the moments it forms, and the numbers that come out.

What can be said and planned before anything runs is here; `stitchpipe.engine.cluster` carries it out on Dask, and is
a door of its own, so that whoever plans or reads results does not import a scheduler.
"""

from stitchpipe.engine.moments.finalise import Request, without_grid
from stitchpipe.engine.moments.leaf_tasks import Workplace
from stitchpipe.engine.numbers import PairNumber
from stitchpipe.engine.planning.memory import BACKEND_BYTES, WORKER_BYTES, Evaluation
from stitchpipe.engine.planning.plan import Cost, Plan, PlanError, make_plan
from stitchpipe.engine.planning.rates import Rates, measured_rates
from stitchpipe.engine.planning.shapes import LayerShape, SplitShape
from stitchpipe.engine.reading import NotKeptError
from stitchpipe.engine.samples.image_comparison import ImagesJob, Named, indices_of_images

__all__ = [
    "BACKEND_BYTES",
    "WORKER_BYTES",
    "Cost",
    "Evaluation",
    "ImagesJob",
    "LayerShape",
    "Named",
    "NotKeptError",
    "PairNumber",
    "Plan",
    "PlanError",
    "Rates",
    "Request",
    "SplitShape",
    "Workplace",
    "indices_of_images",
    "make_plan",
    "measured_rates",
    "without_grid",
]
