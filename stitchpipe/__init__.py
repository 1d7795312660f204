"""Compare neural representations: direct matching, task loss matching, CKA, CCA and Procrustes.

>>> import stitchpipe as sp
>>> run = sp.open("runs/quickstart")                     # models, layers, lazy activations, results
>>> sp.compare({"a": X, "b": Y}, indices=["cka"])        # numbers now, from arrays
>>> sp.compare(net_a, net_b, loader, layers=["layer*"])  # or from two networks
>>> sp.run(models={"mine": net_a, "theirs": "resnet18"}, data=loader)  # a run of Python objects
>>> sp.algebra.cka(X, Y)                                 # plain functions over rows × features
>>> sp.DirectMatching().fit(X, Y).score(X, Y)            # a scikit-learn estimator
>>> sp.ingest_files("runs/mine", ["acts.npz"], dataset="D", split="test", model="mine")  # from others' files

Importing this package is cheap; what a name needs is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stitchpipe import algebra
    from stitchpipe.asking.workspace import Workspace
    from stitchpipe.asking.workspace import open_workspace as open  # noqa: A004 - sp.open(DIR)
    from stitchpipe.in_memory.compare import compare
    from stitchpipe.in_memory.estimator import DirectMatching
    from stitchpipe.ingest import ingest_batches, ingest_files

    plan: Any  # of `stitchpipe.declaring`: its types lead through every step, in a circle
    run: Any

__version__ = "0.1.0"
__all__ = [
    "DirectMatching",
    "Workspace",
    "__version__",
    "algebra",
    "compare",
    "ingest_batches",
    "ingest_files",
    "open",
    "plan",
    "run",
]

_HOMES = {
    "DirectMatching": ("stitchpipe.in_memory.estimator", "DirectMatching"),
    "Workspace": ("stitchpipe.asking", "Workspace"),
    "compare": ("stitchpipe.in_memory", "compare"),
    "ingest_batches": ("stitchpipe.ingest", "ingest_batches"),
    "ingest_files": ("stitchpipe.ingest", "ingest_files"),
    "plan": ("stitchpipe.declaring", "plan"),
    "open": ("stitchpipe.asking", "open_workspace"),
}


def __getattr__(name: str) -> Any:
    if name == "algebra":
        return import_module("stitchpipe.algebra")
    if name == "run":
        return import_module(
            "stitchpipe.run"
        )  # the room can be called, and is bound to this name sooner or later
    if name not in _HOMES:
        raise AttributeError(f"module 'stitchpipe' has no attribute {name!r}")
    home, attribute = _HOMES[name]
    return getattr(import_module(home), attribute)


def __dir__() -> list[str]:
    return __all__
