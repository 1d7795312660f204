"""A comparison that outlives the Dask scheduler it was begun on."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final

from stitchpipe.engine.cluster import LostSchedulerError, SchedulerError
from stitchpipe.steps.comparing.engine_run import cluster_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from stitchpipe.engine.cluster import Cluster
    from stitchpipe.run import Run

logger = logging.getLogger(__name__)

AFTER_S: Final = (2.0, 10.0, 30.0)
"""After how long a lost scheduler is looked for again, each time."""


def on_cluster(run: Run, scheduler: str | None, work: Callable[[Cluster], dict[str, Any]]) -> dict[str, Any]:
    """Do work on the Dask cluster at an address, or on a local one; return its record.

    Where the scheduler is lost under way, it is looked for a few times; where it does not come back, the work goes on
    with local processes. What was finished before, leaves of the passes and parts of the results, is not done again.

    Raises
    ------
    stitchpipe.engine.cluster.SchedulerError
        Nothing answered at the address in the first place.
    stitchpipe.engine.cluster.LostSchedulerError
        The local one was lost.
    """
    is_lost = False
    for pause_s in (*AFTER_S, 0.0):
        try:
            with cluster_of(run, scheduler) as cluster:
                return work(cluster)
        except LostSchedulerError as error:
            if scheduler is None:
                raise
            is_lost, told = True, str(error)
        except SchedulerError as error:
            if not is_lost:  # a wrong address is a mistake, and not worked around
                raise
            told = str(error)
        logger.warning("%s It is looked for again in %g s.", told, pause_s)
        time.sleep(pause_s)
    logger.warning("The Dask scheduler at %s does not come back: going on with local processes.", scheduler)
    with cluster_of(run) as cluster:
        return work(cluster)
