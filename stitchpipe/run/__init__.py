"""An opened run: a sweep in its place, with everything that steps need of it.

Importing this room is cheap: what needs torch is imported when it is first used, so that `ls`, `query` and `verify` do
without it.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from stitchpipe.front_doors import on_first_use

if TYPE_CHECKING:
    from stitchpipe.run.names import SPLITS, TEST, TRAIN, LayerName, Pair
    from stitchpipe.run.place import PlaceError, RunPlace, named_store
    from stitchpipe.run.planned_stitch import PlannedStitch
    from stitchpipe.run.run import Run

__all__ = [
    "SPLITS",
    "TEST",
    "TRAIN",
    "LayerName",
    "Pair",
    "PlaceError",
    "PlannedStitch",
    "Run",
    "RunPlace",
    "named_store",
]

_HOMES = {
    "names": ("SPLITS", "TEST", "TRAIN", "LayerName", "Pair"),
    "place": ("PlaceError", "RunPlace", "named_store"),
    "run": ("Run",),
    "planned_stitch": ("PlannedStitch",),
}


class _Room(ModuleType):
    """The room as ``sp.run``: Python binds a room to its package under its name, which is also what people call."""

    def __call__(self, *given: Any, **named: Any) -> Any:
        """Run a sweep of Python objects; see `stitchpipe.declaring.run`."""
        return import_module("stitchpipe.declaring").run(*given, **named)


sys.modules[__name__].__class__ = _Room
__getattr__ = on_first_use(__name__, _HOMES)
