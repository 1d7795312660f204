"""Images in NumPy files: one ``.npz``, or one ``.npy`` with labels beside it, per split. No pickles."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from stitchpipe.data.class_numbers import class_numbers
from stitchpipe.data.images import DataError, ImageSplit
from stitchpipe.data.parquet import parquet_samples
from stitchpipe.data.pixels import check_number_format
from stitchpipe.data.reading import (
    EVERYTHING,
    Reading,
    Samples,
    demand_splits,
    not_finite,
    numbered_ids,
    split_as_found,
)
from stitchpipe.errors import named_line
from stitchpipe.numpy_files import UnsoundError, demand_whole_npy, demand_whole_npz

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from stitchpipe.config import ArraysData
    from stitchpipe.data.pixels import Pixels

Layout: TypeAlias = Literal["NHW", "NHWC", "NCHW"]
MEMBERS = {"image": "images", "label": "labels", "id": "ids"}
"""What an ``.npz`` file calls its arrays unless it is said otherwise."""
COLOURS = (1, 3)
"""Numbers of channels by which a channel axis is recognised."""


def load(declared: ArraysData, splits: Sequence[str], reading: Reading) -> dict[str, ImageSplit]:
    """Return the declared splits, see `load_arrays`."""
    files = {str(split): path for split, path in declared.files.items()}
    demand_splits(files, splits, "data.files")
    return load_arrays(
        {split: files[split] for split in splits},
        name=declared.label,
        label_files={str(split): path for split, path in declared.label_files.items()},
        columns={str(key): column for key, column in declared.columns.items()},
        layout=declared.layout,
        reading=reading,
    )


def load_arrays(
    files: Mapping[str, Path],
    *,
    name: str,
    label_files: Mapping[str, Path] | None = None,
    columns: Mapping[str, str] | None = None,
    layout: Layout | None = None,
    reading: Reading = EVERYTHING,
) -> dict[str, ImageSplit]:
    """Return one split per file.

    Parameters
    ----------
    files
        Split → ``.npz`` (arrays ``images``, optional ``labels`` and ``ids``), ``.npy`` (images) or ``.parquet``
        (see `stitchpipe.data.parquet`). Images are uint8, scaled by 1/255, or floats, taken as they are.
    label_files
        Split → ``.npy`` of class numbers, for splits whose images are an ``.npy`` file.
    columns
        Other names for ``image``, ``label`` and ``id`` of ``.npz`` and ``.parquet`` files.
    layout
        Order of the axes: ``NHW`` (grey), ``NHWC`` or ``NCHW``. Without it, ``(n, H, W)`` is grey and of four axes
        the one channel axis is the one of length 1 or 3, if there is just one.

    Raises
    ------
    DataError
        A file is missing, damaged or holds pickled objects; images, labels or ids do not fit; an axis could be
        either; values are not finite.

    Notes
    -----
    Without ids in the file they are ``SPLIT/INDEX``. Reads every chosen image once for the digest. ``.npy`` files
    are memory-mapped; an ``.npz`` file's images stay in memory; a Parquet file's are spooled to a temporary file.
    """
    beside = {split: path for split, path in (label_files or {}).items() if split in files}
    splits = {}
    for split, path in files.items():
        suffix = path.suffix.lower()
        record: dict[str, Any] = {}
        _check_label_file(path, beside.get(split))
        if suffix == ".parquet":
            samples = parquet_samples(path, split, columns or {})
        elif suffix in {".npy", ".npz"}:
            raw = _npz(path, columns or {}) if suffix == ".npz" else _npy(path, beside.get(split))
            samples = raw.samples(split, layout)
            record["layout"] = raw.layout(layout)
        else:
            raise DataError(
                where=str(path),
                expected="a .npz, .npy or .parquet file",
                found=f"the suffix '{path.suffix}'",
                remedy="Convert the images to one of these.",
            )
        splits[split] = split_as_found(samples, dataset=name, name=split, reading=reading, **record)
    return splits


@dataclass(frozen=True)
class _Arrays:
    """What a NumPy file holds, as it lies there."""

    path: Path
    images: npt.NDArray[Any]
    labels: npt.NDArray[Any] | None = None
    ids: npt.NDArray[Any] | None = None

    def samples(self, split: str, declared: Layout | None) -> Samples:
        check_number_format(self.images.dtype, str(self.path))
        source = ArraySource(self.path, self.images, self.layout(declared))
        count, where = len(self.images), str(self.path)
        labels = None if self.labels is None else class_numbers(self.labels, count, where)
        ids = numbered_ids(split, count) if self.ids is None else ids_of(self.ids, count, where)
        return Samples(source, ids, labels, ())

    def layout(self, declared: Layout | None) -> Layout:
        """Return the declared order of the axes if it fits, else the only one that can be meant."""
        shape = self.images.shape
        possible: list[Layout] = []
        if len(shape) == 3:
            possible = ["NHW"]
        elif len(shape) == 4:
            possible = ["NHWC"] * (shape[3] in COLOURS) + ["NCHW"] * (shape[1] in COLOURS)  # type: ignore[assignment]
        fits = 0 not in shape and (declared is None or len(declared) == len(shape))
        if fits and (declared is not None or len(possible) == 1):
            return declared or possible[0]
        unclear = fits and len(shape) == 4
        raise DataError(
            where=str(self.path),
            expected=f"images in the layout {declared or 'NHW, NHWC or NCHW'}",
            found=f"shape {shape}" + (", where either axis may be the channels" if unclear else ""),
            remedy='Set data.layout = "NHWC" or "NCHW".' if unclear else "Correct the file or data.layout.",
        )


@dataclass(frozen=True)
class ArraySource:
    """Images of one array, in memory or memory-mapped."""

    path: Path
    images: npt.NDArray[Any]
    layout: Layout

    def pixels(self, position: int) -> Pixels:
        """Return an image, ``(H, W, C)``, uint8 or float32."""
        image = np.asarray(self.images[position])
        if self.layout == "NCHW":
            image = np.moveaxis(image, 0, 2)
        elif self.layout == "NHW":
            image = image[:, :, None]
        return np.ascontiguousarray(image if image.dtype == np.uint8 else _float32(image))

    def raw(self, position: int) -> bytes:
        """Return type, shape and bytes; `DataError` if they are not finite: the only time all images are read."""
        image = np.ascontiguousarray(self.images[position])
        if image.dtype != np.uint8 and not np.isfinite(_float32(image)).all():
            raise not_finite(self.where(position))
        return f"{image.dtype.str}{image.shape}".encode() + image.tobytes()

    def where(self, position: int) -> str:
        """Return file and position."""
        return f"{self.path}, image {position}"


def ids_of(values: Any, count: int, where: str) -> tuple[str, ...]:
    """Return ids as strings; `DataError` unless there is one string or whole number per image."""
    given = np.asarray(values)
    if given.shape != (count,) or given.dtype.kind not in "iuUS":
        raise DataError(
            where=where,
            expected=f"{count} ids, strings or whole numbers",
            found=f"shape {given.shape} of type {given.dtype}",
            remedy="Correct the ids, or leave them out.",
        )
    return tuple(
        sample_id.decode(errors="backslashreplace") if isinstance(sample_id, bytes) else str(sample_id)
        for sample_id in given.tolist()
    )


def _float32(image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, which is refused
        return image.astype(np.float32)


def _npz(path: Path, columns: Mapping[str, str]) -> _Arrays:
    loaded = _read(path)
    if not isinstance(loaded, np.lib.npyio.NpzFile):
        raise _unreadable(path, "a single array", "Rename it to .npy.")
    with loaded:
        arrays: dict[str, Any] = {}
        for key, usual in MEMBERS.items():
            member = columns.get(key, usual)
            if member in loaded.files:
                arrays[key] = _member(path, loaded, member)
            elif key == "image" or key in columns:
                raise _unreadable(
                    path, f"no array '{member}' among {', '.join(loaded.files)}", "Set data.columns."
                )
    return _Arrays(path, arrays["image"], arrays.get("label"), arrays.get("id"))


def _npy(path: Path, labels: Path | None) -> _Arrays:
    files = [path] if labels is None else [path, labels]
    arrays = [_read(file, mmap_mode="r") for file in files]
    for file, array in zip(files, arrays, strict=True):
        if not isinstance(array, np.ndarray):
            raise _unreadable(file, "several arrays", "Rename it to .npz.")
    return _Arrays(path, *arrays)


def _check_label_file(path: Path, labels: Path | None) -> None:
    if labels is not None and path.suffix.lower() != ".npy":
        raise DataError(
            where="data.label_files",
            expected="labels beside an .npy file of images",
            found=f"{labels} beside {path.name}",
            remedy=f"Put the labels into {path.name}, and remove the key.",
        )


def _member(path: Path, loaded: Any, member: str) -> Any:
    try:
        array = loaded[member]
    except Exception as error:  # noqa: BLE001 - a damaged file makes its parser raise anything
        raise _damaged(path, error) from None
    if not isinstance(array, np.ndarray):
        raise _unreadable(path, f"'{member}', which is no array", "Save it with np.savez.")
    return array


def _read(path: Path, mmap_mode: Literal["r"] | None = None) -> Any:
    try:
        # np.load takes what a file declares at its word: memory is asked for before the data are read.
        demand_whole = demand_whole_npz if zipfile.is_zipfile(path) else demand_whole_npy
        demand_whole(path)
        return np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
    except FileNotFoundError:
        raise _unreadable(
            path, "no such file", "Correct the path; relative ones start at the sweep file."
        ) from None
    except IsADirectoryError:
        raise _unreadable(path, "a folder", "Give a file of arrays.") from None
    except UnsoundError as error:
        raise _unreadable(path, error.found, error.remedy) from None
    except Exception as error:  # noqa: BLE001 - a damaged file makes its parser raise anything
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> DataError:
    if "pickle" in str(error) or "Python objects" in str(error):
        return _unreadable(
            path,
            "pickled objects, or no NumPy file",
            "Pickles can run code, so they are refused: save plain arrays with np.save or np.savez.",
        )
    return _unreadable(path, named_line(error), "Is the file complete?")


def _unreadable(path: Path, found: str, remedy: str) -> DataError:
    return DataError(where=str(path), expected="a NumPy file of plain arrays", found=found, remedy=remedy)
