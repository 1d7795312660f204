"""The data of a sweep: which images, from where, and what is done to their pixels."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - pydantic reads it from the annotations
from typing import Any, Final, Literal, TypeAlias

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from stitchpipe.config.refusal import RefusalError, Section
from stitchpipe.config.values import Count, Seed, Size  # noqa: TC001  (pydantic reads them)
from stitchpipe.errors import nearest

Kind: TypeAlias = Literal["digits", "image_folder", "torchvision", "arrays", "entry_point", "store"]

COMMON: Final = frozenset({"name", "kind", "limit", "size", "mean", "std", "seed"})
"""Keys that every kind takes."""

KEYS: Final[dict[str, frozenset[str]]] = {
    "digits": COMMON | {"test_fraction"},
    "image_folder": COMMON | {"root"},
    "torchvision": COMMON | {"dataset", "root", "options", "splits", "download", "channels"},
    "arrays": COMMON | {"files", "label_files", "columns", "layout", "channels"},
    "entry_point": COMMON | {"dataset", "options", "channels"},
    "store": frozenset({"name", "kind"}),
}
"""The keys of each kind."""

NEEDED: Final[dict[str, tuple[str, str]]] = {
    "image_folder": ("root", 'root = "PATH", the folder that holds train/ and test/'),
    "torchvision": ("dataset", 'dataset = "CIFAR10", or another class of torchvision.datasets'),
    "arrays": ("files", 'files = { train = "train.npz", test = "test.npz" }'),
    "entry_point": ("dataset", 'dataset = "NAME", as an installed package registers it'),
    "store": ("name", 'name = "NAME", as `stitchpipe ls` shows it'),
}
"""What a kind cannot do without, and how it is written."""


class Data(Section):
    """Which images, cut into a training and a test split."""

    name: str = Field(
        default="", description="the data set's name in the store; default: `dataset` or the kind"
    )
    kind: Kind = Field(
        description="digits: scikit-learn's 1,797 handwritten digits; image_folder: root/SPLIT/CLASS/*; "
        "torchvision: a class of torchvision.datasets; arrays: NumPy or Parquet files; "
        "entry_point: a data set of an installed package; "
        "store: no images, only the splits that the run's store has under this name"
    )
    dataset: str = Field(
        default="",
        description="torchvision: name of the class; entry_point: name in group stitchpipe.datasets",
    )
    root: Path | None = Field(
        default=None,
        description="image_folder: the folder that holds the splits; torchvision: where its files lie",
    )
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="torchvision, entry_point: further arguments, the same for all splits",
    )
    splits: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="torchvision: arguments that select each split; default: found from the class's signature",
    )
    download: bool = Field(
        default=False,
        description="torchvision: fetch missing files into `root`, by any command that reads them",
    )
    files: dict[str, Path] = Field(
        default_factory=dict, description="arrays: one .npz, .npy or .parquet file per split"
    )
    label_files: dict[str, Path] = Field(
        default_factory=dict,
        description="arrays: one .npy file of labels per split whose images are a .npy file",
    )
    columns: dict[Literal["image", "label", "id"], str] = Field(
        default_factory=dict,
        description="arrays: other names than image, label, id (Parquet) or images, labels, ids (.npz)",
    )
    layout: Literal["NHW", "NHWC", "NCHW"] | None = Field(
        default=None,
        description="arrays: the axes' order in NumPy files; default: by the channel axis, if certain",
    )
    channels: Literal[1, 3] | None = Field(
        default=None, description="torchvision, arrays, entry_point: make all images grey (1) or RGB (3)"
    )
    limit: Count | None = Field(
        default=None, description="at most this many images per split, spread over the classes"
    )
    size: Size | None = Field(default=None, description="resize to size × size pixels")
    mean: tuple[float, ...] | None = Field(
        default=None, description="subtracted per channel after scaling to [0, 1]"
    )
    std: tuple[float, ...] | None = Field(default=None, description="divided by per channel")
    test_fraction: float = Field(default=0.25, gt=0, lt=1, description="digits: share of images held out")
    seed: Seed = Field(default=0, description="of the choice under `limit`; digits: also of the split")

    @model_validator(mode="after")
    def _keys_of_the_kind(self) -> Data:
        """Refuse keys of other kinds, which would do nothing, and a kind without what it needs."""
        for key in sorted(self.model_fields_set - KEYS[self.kind]):
            takers = [kind for kind, keys in KEYS.items() if key in keys]
            hint = nearest(key, sorted(KEYS[self.kind] - COMMON))
            raise RefusalError(
                expected=f"keys of kind '{self.kind}' ({', '.join(sorted(KEYS[self.kind]))})",
                found=f"`{key}`, a key of kind {' and '.join(repr(kind) for kind in takers)}",
                remedy=f"Remove it, or change the kind. {hint}".strip(),
            )
        key, example = NEEDED.get(self.kind, ("kind", ""))
        if not getattr(self, key):
            raise RefusalError(
                expected=f"`{key}`", found=f"kind '{self.kind}' without it", remedy=f"Add {example}."
            )
        return self

    @model_serializer(mode="wrap")
    def _without_foreign_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the defaults of other kinds' keys: what is written out must be accepted when read back."""
        return {key: value for key, value in handler(self).items() if key in KEYS[self.kind]}

    @property
    def label(self) -> str:
        """Return the name under which the data set stands in the store."""
        return self.name or self.dataset or self.kind
