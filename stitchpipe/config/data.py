"""The data of a sweep: which images, from where, and what is done to their pixels. One section for each kind.

A new kind is a section here, with its line in `Data`, and a module called as the kind in `stitchpipe.data.kinds`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from stitchpipe.config.paths import located
from stitchpipe.config.refusal import RefusalError
from stitchpipe.config.section import Beside, Section
from stitchpipe.config.values import Count, Flag, Options, Seed, Side

Float: TypeAlias = Annotated[float, Field(strict=True)]
SplitName: TypeAlias = Literal["train", "test"]
"""The splits of a sweep: maps are fitted on the one and judged on the other."""


class NamedData(Section):
    """Data under one name, whatever their kind."""

    kind: str
    name: str = Field(
        default="", description="Name of the data set in the store; default: `dataset`, or the kind."
    )

    @property
    def label(self) -> str:
        """Return the name under which the data set stands in the store."""
        return self.name or self.kind

    def starting_at(self, folder: Path) -> Self:  # noqa: ARG002  (kinds with paths use it)
        """Return the data with their relative paths resolved."""
        return self


class ImageData(NamedData):
    """Images, cut into a training and a test split, and what is done to their pixels."""

    BESIDE: ClassVar[tuple[Beside, ...]] = (Beside(("seed",), "limit"),)

    limit: Count | None = Field(
        default=None, description="At most this many images of each split, spread over the classes."
    )
    size: Side | None = Field(default=None, description="Resize to size × size pixels.")
    mean: tuple[Float, ...] | None = Field(
        default=None, description="Subtracted from each channel after scaling to [0, 1]."
    )
    std: tuple[Float, ...] | None = Field(default=None, description="Each channel is divided by it.")
    seed: Seed = Field(default=0, description="Of the choice under `limit`.")
    groups: Path | None = Field(
        default=None,
        description="CSV file of columns `sample,group`: which images belong together, such as those of one subject.",
    )

    def idle_keys(self) -> set[str]:
        """Return the keys that do nothing: without a file there are no groups."""
        return super().idle_keys() | ({"groups"} if self.groups is None else set())

    def starting_at(self, folder: Path) -> Self:
        """Return the data with the path of `groups` resolved."""
        groups = None if self.groups is None else located(self.groups, folder)
        return self.model_copy(update={"groups": groups})


class DigitsData(ImageData):
    """Scikit-learn's 1,797 handwritten digits of 8×8 pixels, which come with the library."""

    BESIDE: ClassVar[tuple[Beside, ...]] = ()

    kind: Literal["digits"] = Field(description="Scikit-learn's 1,797 handwritten digits.")
    test_fraction: float = Field(
        strict=True, default=0.25, gt=0, lt=1, description="Share of the images held out."
    )
    seed: Seed = Field(default=0, description="Of the split, and of the choice under `limit`.")


class FolderData(ImageData):
    """Images in folders, ``root/SPLIT/CLASS/*``."""

    kind: Literal["image_folder"] = Field(description="Images in folders, root/SPLIT/CLASS/*.")
    root: Path = Field(examples=["images"], description="Folder that holds train/ and test/.")

    def starting_at(self, folder: Path) -> Self:
        """Return the data with `root` resolved."""
        return super().starting_at(folder).model_copy(update={"root": located(self.root, folder)})


class ColouredData(ImageData):
    """Images whose number of channels may be changed."""

    channels: Literal[1, 3] | None = Field(
        default=None, description="Make all images grey (1) or RGB (3); default: as they are."
    )


class LibraryData(ColouredData):
    """A data set that a package offers by a name."""

    dataset: str = Field(min_length=1, description="Name of the data set.")
    options: Options = Field(
        default_factory=dict, description="Further arguments of the data set, the same for both splits."
    )

    @property
    def label(self) -> str:
        """Return the name under which the data set stands in the store."""
        return self.name or self.dataset


class TorchvisionData(LibraryData):
    """A class of ``torchvision.datasets``."""

    kind: Literal["torchvision"] = Field(description="A class of torchvision.datasets.")
    dataset: str = Field(min_length=1, examples=["CIFAR10"], description="Name of the class.")
    root: Path | None = Field(default=None, description="Folder where its files lie.")
    splits: dict[SplitName, Options] = Field(
        default_factory=dict,
        description="Arguments that select each split; default: found from the signature of the class.",
    )
    download: Flag = Field(
        default=False, description="Fetch missing files into `root`, by any command that reads them."
    )

    def starting_at(self, folder: Path) -> Self:
        """Return the data with `root` resolved."""
        root = None if self.root is None else located(self.root, folder)
        return super().starting_at(folder).model_copy(update={"root": root})


class ArraysData(ColouredData):
    """NumPy or Parquet files, one for each split."""

    kind: Literal["arrays"] = Field(description="NumPy or Parquet files, one for each split.")
    files: dict[SplitName, Path] = Field(
        min_length=1,
        examples=[{"train": "train.npz", "test": "test.npz"}],
        description="One .npz, .npy or .parquet file for each split.",
    )
    label_files: dict[SplitName, Path] = Field(
        default_factory=dict,
        description="One .npy file of labels for each split whose images are an .npy file.",
    )
    columns: dict[Literal["image", "label", "id"], str] = Field(
        default_factory=dict,
        description="Other names than image, label, id (Parquet) or images, labels, ids (.npz).",
    )
    layout: Literal["NHW", "NHWC", "NCHW"] | None = Field(
        default=None,
        description="Order of the axes in NumPy files; default: by the channel axis, if certain.",
    )

    @model_validator(mode="after")
    def _every_key_is_read(self) -> Self:
        suffixes = {path.suffix.lower() for path in self.files.values()}
        for split in self.label_files:
            if split not in self.files:
                raise RefusalError(
                    expected="label files of splits that have a file of images",
                    found=f"`label_files.{split}` without `files.{split}`",
                    remedy=f"Add files = {{ {split} = … }}, or remove it.",
                )
        if self.columns and suffixes == {".npy"}:
            raise RefusalError(
                expected="`columns` beside .npz or .parquet files, whose parts have names",
                found="files of .npy alone",
                remedy="Remove `columns`.",
            )
        if self.layout is not None and suffixes == {".parquet"}:
            raise RefusalError(
                expected="`layout` beside NumPy files",
                found="files of .parquet alone, whose images say their own layout",
                remedy="Remove `layout`.",
            )
        return self

    def starting_at(self, folder: Path) -> Self:
        """Return the data with the paths of all files resolved."""
        located_files = {split: located(path, folder) for split, path in self.files.items()}
        located_labels = {split: located(path, folder) for split, path in self.label_files.items()}
        files = {"files": located_files, "label_files": located_labels}
        return super().starting_at(folder).model_copy(update=files)


class EntryPointData(LibraryData):
    """A data set of an installed package."""

    kind: Literal["entry_point"] = Field(description="A data set of an installed package.")
    dataset: str = Field(
        min_length=1, examples=["NAME"], description="Name in the entry-point group stitchpipe.datasets."
    )


class FlatFolderData(ImageData):
    """Images in a folder, without labels."""

    kind: Literal["flat_folder"] = Field(description="Images in a folder, at any depth, without labels.")
    root: Path = Field(
        examples=["images"], description="The folder; where it holds train/ and test/, these are the splits."
    )
    test_fraction: float = Field(
        strict=True, default=0.5, gt=0, lt=1, description="Share of the images held out, by their paths."
    )
    seed: Seed = Field(default=0, description="Of the split, and of the choice under `limit`.")

    BESIDE: ClassVar[tuple[Beside, ...]] = ()

    def starting_at(self, folder: Path) -> Self:
        """Return the data with `root` resolved."""
        return super().starting_at(folder).model_copy(update={"root": located(self.root, folder)})


class ObjectData(NamedData):
    """Images of a Python process, which `sp.run` was given."""

    kind: Literal["object"] = Field(description="Images of a Python process, which `sp.run` was given.")
    name: str = Field(min_length=1, examples=["NAME"], description="Name of the data set in the store.")
    digests: dict[SplitName, str] = Field(
        min_length=1,
        examples=[{"train": "ab12", "test": "cd34"}],
        description="Digest of each split, over ids, labels and pixels.",
    )


class StoredData(NamedData):
    """No images: only the splits that the run's store has under this name."""

    kind: Literal["store"] = Field(
        description="No images, only the splits that the run's store has under this name."
    )
    name: str = Field(
        min_length=1, examples=["NAME"], description="Name of the data set, as `stitchpipe ls` shows it."
    )


Data: TypeAlias = Annotated[
    DigitsData
    | FolderData
    | FlatFolderData
    | TorchvisionData
    | ArraysData
    | EntryPointData
    | ObjectData
    | StoredData,
    Field(discriminator="kind"),
]
"""Which images, cut into a training and a test split: one of the kinds."""
