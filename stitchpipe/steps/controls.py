"""Controls: sources that a good measure must not take for representations of the images, written like dumps.

Class-clustered random codes hold the class and nothing else of an image, and still stitch well where the task is
all that is asked for (Smith et al. 2025). Permuted samples keep everything but which image is which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stitchpipe.config import ConfigError
from stitchpipe.run.declared import control_fields
from stitchpipe.run.layers import CODES
from storage import LayerSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stitchpipe.config import ControlModel, Permuted, RandomCodes
    from storage import Dump, Representation, Split, Store

CONTROL_VERSION = 1
"""Raised when the same declaration would give other values."""


def dump_codes(store: Store, split: Split, model: ControlModel, control: RandomCodes, dtype: str) -> Dump:
    """Write random codes ``code of the class + noise`` on a split.

    Codes and noise are standard normal, the latter times `control.noise`; codes are the same for all splits, and the
    noise of a sample follows from the seed, the split and its place in the store.

    Raises
    ------
    ConfigError
        The split has no labels.
    """
    labels = split.labels
    if labels is None:
        raise ConfigError(
            where=f"model '{model.name}'",
            expected="labels, for codes of classes",
            found=f"split '{split.name}' without them",
            remedy="Give the data labels, or leave this control out.",
        )
    codes = np.random.default_rng([control.seed, 0]).standard_normal((int(labels.max()) + 1, *control.shape))
    salt = _salt(split)

    def rows(_: str, start: int, stop: int) -> npt.NDArray[Any]:
        noise = np.stack(
            [
                np.random.default_rng([control.seed, 1, salt, place]).standard_normal(control.shape)
                for place in range(start, stop)
            ]
        )
        return np.asarray(codes[labels[start:stop]] + control.noise * noise)

    identity = {"control": control_fields(control), "classes": len(codes), "version": CONTROL_VERSION}
    return _write(store, split, model, {CODES: LayerSpec(control.shape, dtype)}, identity, rows)


def dump_permuted(
    store: Store, split: Split, model: ControlModel, control: Permuted, sources: Mapping[str, Representation]
) -> Dump:
    """Write the layers of another model on a split, the samples in a random order."""
    order = np.random.default_rng([control.seed, _salt(split)]).permutation(split.n_samples)

    def rows(layer: str, start: int, stop: int) -> npt.NDArray[Any]:
        wanted = order[start:stop]
        ascending = np.argsort(wanted)
        values = sources[layer].read_rows(wanted[ascending])
        found = np.empty_like(values)
        found[ascending] = values
        return found

    first = next(iter(sources.values()))
    identity = {
        "control": control_fields(control),
        "of": {layer: one.digest for layer, one in sorted(sources.items())},
        "version": CONTROL_VERSION,
        **({"image_size": first.identity["image_size"]} if "image_size" in first.identity else {}),
    }
    layers = {layer: LayerSpec(one.shape[1:], str(one.dtype)) for layer, one in sources.items()}
    return _write(store, split, model, layers, identity, rows)


def _salt(split: Split) -> int:
    """Return a number that tells splits apart, for seeds."""
    return int.from_bytes(split.name.encode(), "little") % 2**32


def _write(
    store: Store,
    split: Split,
    model: ControlModel,
    layers: Mapping[str, LayerSpec],
    identity: Mapping[str, Any],
    rows: Callable[[str, int, int], npt.NDArray[Any]],
) -> Dump:
    """Write what is missing of a control's layers and seal them."""
    job = store.begin_dump(
        dataset=split.dataset,
        split=split.name,
        model=model.name,
        layers=layers,
        identity=identity,
        provenance={"numpy": np.__version__},
    )
    for row_group in job.missing_row_groups():
        start, stop = split.row_groups[row_group]
        job.write(
            row_group,
            {
                layer: rows(layer, start, stop).astype(spec.dtype, copy=False)
                for layer, spec in layers.items()
            },
        )
    job.seal()
    return job
