"""What keys and identities hold of a declaration: explicit fields, so that the tables of a sweep file may change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stitchpipe.config import ControlModel, Permuted, TrainedModel
from stitchpipe.plugins import Plugins
from stitchpipe.run.layer_words import keyed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.config import Augment, Control, Data, Dump, Model, NetworkModel

_NETWORKS: Final = Plugins("stitchpipe.models", "architecture")
"""The networks of packages, of which no more is asked here than their sources."""

MODEL: Final[Mapping[str, Any]] = {
    "architecture": "", "options": {}, "weights": None, "pretrained": False, "train": None, "untrained": False,
    "seed": 0, "layers": None, "control": None,
}  # fmt: skip
"""What of a model counts, and what it is where the model's origin has no such key. Names and fingerprints do not."""

RECIPE: Final[Mapping[str, Any]] = {"optimiser": "sgd", "weight_decay": 5e-4, "shift": 1, "flip": False}
"""What of a training counts only where it differs from this: weights were trained under it before it could be said."""

CONTROL: Final[Mapping[str, Any]] = {"kind": "", "shape": [64, 8, 8], "noise": 1.0, "of": "", "seed": 0}
"""The same of a control."""

DUMP: Final = (
    "layers", "dtype", "batch_size", "row_groups", "view", "positions", "positions_seed", "autocast", "tf32",
)  # fmt: skip
"""What of [dump] counts: all that can change a stored value or the row that it stands in."""

AUGMENT: Final = ("crop", "flip", "seed")
"""What of [dump.augment] counts; the number of an augmented split stands in its name."""


def model_fields(declared: Model | NetworkModel) -> dict[str, Any]:
    """Return what a model's declaration is in keys."""
    fields = _filled(MODEL, declared.model_dump(mode="json"))
    if declared.layers is not None:
        fields["layers"] = keyed(declared.layers)
    if isinstance(declared, ControlModel):
        fields["control"] = control_fields(declared.control)
    if isinstance(declared, TrainedModel):
        recipe = fields["train"].items()
        fields["train"] = {key: value for key, value in recipe if key not in RECIPE or value != RECIPE[key]}
    return fields


def control_fields(control: Control) -> dict[str, Any]:
    """Return what a control's declaration is in keys, and in the identities of what it writes."""
    return _filled(CONTROL, control.model_dump(mode="json"))


def dump_fields(dump: Dump) -> dict[str, Any]:
    """Return what the table [dump] is in keys: with what another view would make use of, too."""
    fields = {key: _plain(getattr(dump, key)) for key in DUMP}
    return {**fields, "layers": keyed(dump.layers)}


def augment_fields(augment: Augment) -> dict[str, Any]:
    """Return what an augmented split depends on beside its number."""
    return {key: _plain(getattr(augment, key)) for key in AUGMENT}


def data_fields(data: Data) -> dict[str, Any]:
    """Return what the table [data] is in keys: all keys of its kind, but groups only where there are some."""
    written = data.model_dump(mode="json")
    fields = {
        key: written[key] if key in written else _plain(getattr(data, key)) for key in type(data).model_fields
    }
    return {key: value for key, value in fields.items() if key != "groups" or value is not None}


def _filled(absent: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: given.get(key, value) for key, value in absent.items()}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def network_fields(declared: NetworkModel) -> dict[str, Any]:
    """Return what decides over a network and its weights: which of its layers are dumped does not.

    Of a network that a package adds, that package's sources do.
    """
    fields = {key: value for key, value in model_fields(declared).items() if key != "layers"}
    sources = _NETWORKS.code(declared.architecture)
    return fields if sources is None else {**fields, "sources": sources}


def permuted_model(declared: Model | NetworkModel) -> str | None:
    """Return the name of the model whose samples a control permutes; None for any other model."""
    control = declared.control if isinstance(declared, ControlModel) else None
    return control.of if isinstance(control, Permuted) else None


def architecture_of(declared: NetworkModel) -> str:
    """Return a network's architecture with its options, as it stands in identities."""
    options = ", ".join(f"{key}={value}" for key, value in sorted(declared.options.items()))
    sources = _NETWORKS.code(declared.architecture)
    return f"{declared.architecture}({options})" + ("" if sources is None else f" of {sources}")
