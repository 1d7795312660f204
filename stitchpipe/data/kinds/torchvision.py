"""Torchvision's data sets by name; their constructors' several ways to select a split are found by signature."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from torch.utils.data import Dataset

from stitchpipe.data.images import DataError, ImageSplit
from stitchpipe.data.map_style import map_style_samples
from stitchpipe.data.reading import EVERYTHING, Reading, demand_splits, split_as_found
from stitchpipe.errors import named_line, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stitchpipe.config import TorchvisionData

ALIASES = {"train": ("train", "trainval", "train-standard"), "test": ("test", "val", "valid")}
"""What data sets that take ``split="…"`` call the two splits, in the order in which the names are tried."""
OURS = ("root", "download", "transform", "target_transform", "transforms")
"""Arguments that options may not set: the first two are keys of their own, pixels are preprocessed here."""


def load(declared: TorchvisionData, splits: Sequence[str], reading: Reading) -> dict[str, ImageSplit]:
    """Return the declared splits, see `load_torchvision`."""
    selected: Sequence[str] | Mapping[str, Mapping[str, object]] = splits
    if declared.splits:
        arguments = {str(split): given for split, given in declared.splits.items()}
        demand_splits(arguments, splits, "data.splits")
        selected = {split: arguments[split] for split in splits}
    return load_torchvision(
        declared.dataset,
        root=declared.root,
        name=declared.label,
        splits=selected,
        options=declared.options,
        download=declared.download,
        reading=reading,
    )


def load_torchvision(
    dataset: str,
    *,
    root: Path | None = None,
    name: str | None = None,
    splits: Sequence[str] | Mapping[str, Mapping[str, Any]] = ("train", "test"),
    options: Mapping[str, Any] | None = None,
    download: bool = False,
    reading: Reading = EVERYTHING,
) -> dict[str, ImageSplit]:
    """Return splits of a torchvision data set; ids are ``SPLIT/INDEX`` in the data set's own order.

    Parameters
    ----------
    dataset
        A class of ``torchvision.datasets``, for example ``CIFAR10``.
    splits
        Names, for which the constructor's ``train=`` or ``split=`` is set (``val`` stands in for a missing
        ``test``), or a mapping from names to the arguments that select each split.
    options
        Further arguments of the constructor, the same for all splits.
    download
        Fetch missing files into `root`; needs a network.

    Raises
    ------
    DataError
        The name is unknown (the nearest are named), files are missing or damaged, an argument is refused, nothing
        tells how to select a split, or the items are not single images.

    Notes
    -----
    Costs of labels and digest: see `stitchpipe.data.map_style.map_style_samples`. The digest covers image files
    where the data set keeps their paths, else decoded pixels: every image is decoded once, about 35 µs each for
    those in memory, such as CIFAR's.
    """
    kind = _class(dataset)
    where = f"torchvision.datasets.{dataset}"
    takes = _parameters(kind)
    shared = {**_shared(where, takes, root, download=download), **_options(where, options or {})}
    loaded = {}
    for split in splits:
        tried = (
            [dict(splits[split])] if isinstance(splits, Mapping) else _selections(where, takes, split, shared)
        )
        data = _built(kind, where, shared, tried)
        samples = map_style_samples(data, split, where, trust_files=True)
        loaded[split] = split_as_found(samples, dataset=name or dataset, name=split, reading=reading)
    return loaded


def _class(dataset: str) -> Any:
    module = import_module(
        "torchvision"
    ).datasets  # its import takes a second, with a compiler that nothing here uses
    known = [
        name
        for name in module.__all__
        if inspect.isclass(kind := getattr(module, name)) and issubclass(kind, Dataset)
    ]
    if dataset not in known:
        raise DataError(
            where="data.dataset",
            expected="a class of torchvision.datasets",
            found=f"'{dataset}'",
            remedy=nearest(dataset, known, most=3) or "Names are those of torchvision's documentation.",
        )
    return getattr(module, dataset)


def _parameters(kind: Any) -> dict[str, inspect.Parameter]:
    """Return the constructor's named arguments; where it passes ``**kwargs`` on, those of the classes above too."""
    parameters: dict[str, inspect.Parameter] = {}
    for base in kind.__mro__:
        own = inspect.signature(base.__init__).parameters if "__init__" in vars(base) else {}
        parameters = {**own, **parameters}
        if own and all(parameter.kind is not parameter.VAR_KEYWORD for parameter in own.values()):
            break
    return parameters


def _shared(where: str, takes: Mapping[str, Any], root: Path | None, *, download: bool) -> dict[str, Any]:
    """Return root and download as far as the constructor takes them; download is never left to its default."""
    shared: dict[str, Any] = {}
    if "root" in takes:
        if root is None:
            raise DataError(
                where=where,
                expected="`root`, the folder where its files lie",
                found="none",
                remedy='Add root = "PATH" to [data].',
            )
        shared["root"] = str(root)
    if "download" in takes:
        shared["download"] = download
    elif download:
        raise DataError(
            where=where,
            expected="files that are there: torchvision does not download this data set",
            found="download = true",
            remedy=f"Remove it, and put the files into {root} as its documentation says.",
        )
    return shared


def _options(where: str, options: Mapping[str, Any]) -> dict[str, Any]:
    reserved = sorted(set(options) & set(OURS))
    if reserved:
        raise DataError(
            where=f"{where}, data.options",
            expected="arguments that have no key of their own and change no pixels",
            found=f"`{reserved[0]}`",
            remedy="Set `root`, `download`, `size`, `mean`, `std` in [data].",
        )
    return dict(options)


def _selections(
    where: str, takes: Mapping[str, Any], split: str, shared: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the arguments that may select a split, the likeliest first.

    ``train=`` goes before ``split=``: where there are both (EMNIST), ``split`` chooses among several data sets.
    """
    tried: list[dict[str, Any]] = []
    if "train" in takes:
        tried = [{"train": split == "train"}] if split in ALIASES else []
    elif "split" in takes:
        tried = [{"split": alias} for alias in ALIASES.get(split, (split,))]
    set_already = next((key for selection in tried for key in selection if key in shared), None)
    if not tried or set_already is not None:
        raise DataError(
            where=where,
            expected=f"a way to select the split '{split}'",
            found=f"`{set_already}` among the options"
            if set_already
            else f"a constructor that takes {', '.join(key for key in takes if key != 'self')}",
            remedy="Declare it: splits = { train = { ARGUMENT = VALUE }, test = { ARGUMENT = VALUE } }.",
        )
    return tried


def _built(kind: Any, where: str, shared: Mapping[str, Any], tried: Sequence[Mapping[str, Any]]) -> Any:
    """Return the data set; a selection that the constructor does not know gives way to the next."""
    failures: list[Exception] = []
    for selection in tried:
        try:
            return kind(**{**shared, **selection})
        except ValueError as error:  # an unknown name of a split
            failures.append(error)
        except Exception as error:  # noqa: BLE001 - damaged files make their parsers raise anything
            failures = [error]
            break
    raise _refused(where, shared, tried[0], failures[0])


def _refused(
    where: str, shared: Mapping[str, Any], selection: Mapping[str, Any], error: Exception
) -> DataError:
    reason = named_line(error)
    if isinstance(error, TypeError | ValueError):
        given = ", ".join(f"{key} = {value!r}" for key, value in {**shared, **selection}.items())
        return DataError(
            where=where,
            expected="arguments that it takes",
            found=f"{reason} (given {given})",
            remedy="Correct data.options or data.splits.",
        )
    if isinstance(error, ImportError):
        return DataError(
            where=where, expected="the packages that it needs", found=reason, remedy="Install them."
        )
    fetch = {
        False: "or set download = true on a machine with a network",
        True: "or download on a machine with a network and copy the folder",
    }.get(
        shared.get("download", ""), "as its documentation says: torchvision does not download this data set"
    )
    return DataError(
        where=where,
        expected=f"its files, complete, in {shared.get('root', 'the folder that the options name')}",
        found=reason,
        remedy=f"Put them there, {fetch}.",
    )
