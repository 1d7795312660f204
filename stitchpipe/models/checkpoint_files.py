"""Reading checkpoint files: told by their bytes rather than their names, and nothing in them is ever run."""

from __future__ import annotations

import io
import pickle
import pickletools
import re
import warnings
import zipfile
from contextlib import suppress
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from safetensors.torch import load, load_file

from stitchpipe.errors import named_line
from stitchpipe.models.errors import WeightsError
from stitchpipe.models.sharded_files import COMPLETE, bytes_of, index_of, shard_beside, unreadable
from storage import NotFoundError, place_and_key

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOKED_THROUGH: Final = 16 << 20
"""How many bytes of a pickle are looked through for what it would have called."""
_PICKLES: Final = 5
_SAVE_AGAIN: Final = "Save the state_dict of the network as safetensors where you trust the file."
_NEVER_RUN: Final = (
    f"Such a file can run code when it is read, so it is refused and nothing in it was run. {_SAVE_AGAIN}"
)
_OTHERS: Final = (
    (b"\x1f\x8b", "a gzip-compressed file", "Unpack it with gunzip."),
    (b"BZh", "a bzip2-compressed file", "Unpack it with bunzip2."),
    (b"\xfd7zXZ", "an xz-compressed file", "Unpack it with unxz."),
    (b"\x89HDF", "an HDF5 file, as Keras writes", "Convert it to a state_dict of the torch network."),
    (
        b"version https://git-lfs",
        "a pointer of Git LFS, not the file itself",
        "Fetch it with `git lfs pull`.",
    ),
    (b"<", "a page of HTML or XML, as a download that failed leaves", "Download the file again."),
)
"""How files begin that are often taken for checkpoints, what they are, and what to do."""


def read_checkpoint(path: Path | str) -> Any:
    """Return what a checkpoint holds: a file, or an object in a bucket, whose bytes all pass through memory.

    Read are safetensors under whatever name, the index of sharded ones (``model.safetensors.index.json``, with the
    shards beside it), and torch files with ``weights_only=True``; NumPy's scalars, which many hold, are allowed.

    Raises
    ------
    WeightsError
        It is missing, damaged, of another kind, or holds more than tensors: then what it would call is named.
    """
    if str(path).lower().endswith(".pt2"):
        raise unreadable(path, "a compiled program", _SAVE_AGAIN)
    try:
        begin = _beginning(path)
        if begin.lstrip()[:1] == b"{":
            return _sharded(path)
        return _read(path, begin)
    except WeightsError:
        raise
    except (FileNotFoundError, NotFoundError):
        found, remedy = (
            ("no such object", "Correct the URL, or put the checkpoint there.")
            if isinstance(path, str)
            else ("no such file", "Correct the path; relative ones start at the sweep file.")
        )
    except IsADirectoryError:
        found, remedy = "a folder", "Give the file in it, or its model.safetensors.index.json."
    except PermissionError:
        found, remedy = "a file that may not be read", "Give yourself the right to read it."
    except pickle.UnpicklingError as error:
        found, remedy = _refused(path, str(error))
    except Exception as error:  # noqa: BLE001 - a damaged file makes its parser raise anything
        found, remedy = _named(path, error)
    raise unreadable(path, found, remedy)


def _read(path: Path | str, begin: bytes) -> Any:
    """Return what one file holds that is no index."""
    if begin[8:9] == b"{":  # behind the length of a header: safetensors, whatever the file is called
        return load_file(path) if isinstance(path, Path) else load(bytes_of(path))
    if str(path).lower().endswith(".safetensors"):
        raise unreadable(path, "bytes that are no safetensors", COMPLETE)
    for magic, what, remedy in _OTHERS:
        if begin.startswith(magic):
            raise unreadable(path, what, remedy)
    file = path if isinstance(path, Path) else io.BytesIO(bytes_of(path))
    with warnings.catch_warnings(), torch.serialization.safe_globals(_harmless()):
        warnings.simplefilter("ignore")
        return torch.load(file, map_location="cpu", weights_only=True)


def _sharded(path: Path | str) -> dict[str, Any]:
    """Return the tensors that an index of sharded files names, each from the file that it names for it."""
    files, tensors = index_of(path), dict[str, Any]()
    for name in sorted(set(files.values())):
        shard = shard_beside(path, name)
        if _beginning(shard).lstrip()[:1] == b"{":
            raise unreadable(shard, "an index in the place of a shard", COMPLETE)
        held = read_checkpoint(shard)
        wanted = [key for key, file in files.items() if file == name]
        lost = [key for key in wanted if not isinstance(held, dict) or key not in held]
        if lost:
            raise unreadable(
                shard, f"no tensor {lost[0]}, which {Path(str(path)).name} says it has", COMPLETE
            )
        tensors |= {key: held[key] for key in wanted}
    return tensors


@cache
def _harmless() -> list[Any]:
    """Return what torch does not know to be harmless: NumPy's scalars, under the names of its versions."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = [getattr(np.dtypes, name) for name in dir(np.dtypes) if name.endswith("DType")]
    plain = [kind for kind in kinds if kind is not np.dtypes.ObjectDType]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return [*((scalar, name) for name in names), np.dtype, *plain]


def _beginning(path: Path | str) -> bytes:
    if isinstance(path, Path):
        with path.open("rb") as file:
            return file.read(64)
    place, key = place_and_key(path)
    return place.read_ranges(key, [(0, 64)])[0]


def _refused(path: Path | str, reason: str) -> tuple[str, str]:
    """Return what was found and what to do about a pickle that torch would not read."""
    told, imported = re.search(r"GLOBAL ([\w.]+)", reason), list(_globals_of(path))
    # torch leaves out the module of some names.
    named = [name for name in imported if told is None or name == told[1] or name.endswith(f".{told[1]}")]
    if told or named:
        return f"a pickle that holds more than tensors: {[*named, told and told[1]][0]}", _NEVER_RUN
    if "Unsupported class" in reason:
        return "a pickle that holds more than tensors", _NEVER_RUN
    return "a file that is no checkpoint, or a damaged one", COMPLETE


def _named(path: Path | str, error: Exception) -> tuple[str, str]:
    """Return what was found and what to do where a parser gave up."""
    with suppress(OSError, zipfile.BadZipFile, NotFoundError), zipfile.ZipFile(_opened(path)) as archive:
        names = archive.namelist()
        if any(name.endswith(".npy") for name in names):
            return "an archive of NumPy arrays", "Save the state_dict of the torch network as safetensors."
        if any(name.endswith("/constants.pkl") for name in names):
            return "a TorchScript program", _SAVE_AGAIN
    return named_line(error), COMPLETE


def _opened(path: Path | str) -> Any:
    return path if isinstance(path, Path) else io.BytesIO(bytes_of(path))


def _globals_of(path: Path | str) -> Iterator[str]:
    """Yield what a pickle would import, as far as its beginning can be read; nothing of it is run."""
    with suppress(Exception):  # a damaged pickle ends anywhere
        texts, pickled = list[str](), io.BytesIO(_pickled(path))
        # Files of old versions of torch are several pickles, one behind the other.
        for code, value, _ in chain.from_iterable(pickletools.genops(pickled) for _ in range(_PICKLES)):
            if code.name == "GLOBAL" and isinstance(value, str):
                yield value.replace("__builtin__", "builtins").replace(" ", ".")
            elif code.name == "STACK_GLOBAL" and len(texts) > 1:
                yield ".".join(texts[-2:])
            elif isinstance(value, str):
                texts.append(value)


def _pickled(path: Path | str) -> bytes:
    """Return the beginning of the pickle in a file of any of torch's formats."""
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(_opened(path)) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        with archive.open(name) as member:
            return member.read(_LOOKED_THROUGH)
    if isinstance(path, str):
        return bytes_of(path)[:_LOOKED_THROUGH]
    with path.open("rb") as file:
        return file.read(_LOOKED_THROUGH)
