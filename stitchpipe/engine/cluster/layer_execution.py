"""Measures of single layers carried out on Dask: a task for each layer and view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distributed import KilledWorker, as_completed

from stitchpipe.engine.cluster.execution import Report, WorkerLostError
from stitchpipe.engine.single_layers import LayerTask, LayerWork, MeasuredLayer, measure_layer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from distributed import Client


def execute_layers(
    client: Client, work: LayerWork, tasks: Sequence[LayerTask], *, report: Report
) -> Iterator[MeasuredLayer]:
    """Carry out tasks; yield the numbers of each as soon as they are there. `report` is called with (done, total).

    Raises
    ------
    WorkerLostError
        Workers died again and again over the same layer.
    """
    given = client.submit(_given, work, pure=False)
    running = as_completed(
        [client.submit(measure_layer, given, task, pure=False) for task in tasks], loop=client.loop
    )
    report(0, len(tasks))
    for done, future in enumerate(running, 1):
        try:
            measured = future.result()
        except KilledWorker as error:
            raise WorkerLostError(
                where="measures of single layers",
                expected=f"workers that live through the rows of a layer, in {work.room_bytes} bytes",
                found=str(error),
                remedy="Give the workers more memory (run.memory_limit_bytes), or run fewer of them.",
            ) from None
        report(done, len(tasks))
        yield measured


def _given(work: LayerWork) -> LayerWork:
    """Return what was handed out: as a task's result it reaches each worker once."""
    return work
