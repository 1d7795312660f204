"""Where the activation store of a run lies: in its folder, unless the run recorded another place."""

from __future__ import annotations

import json
from pathlib import Path

from stitchpipe.errors import ExplainedError, named_line
from stitchpipe.wholefile import write_whole

STORE = "store.zarr"
RECORD = "store.json"


class LocationError(ExplainedError, ValueError):
    """There is no telling where a store lies: another place than recorded, or no folder."""


def store_location(root: Path) -> str:
    """Return the path or URL of the store of the run in `root`; nothing need be there yet.

    Raises
    ------
    LocationError
        The record of another place cannot be read.
    """
    record = root / RECORD
    try:
        return str(json.loads(record.read_text("utf-8"))["url"])
    except FileNotFoundError:
        return str(root / STORE)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LocationError(
            where=str(record),
            expected="a record of where the store lies",
            found=named_line(error),
            remedy="Remove the file and run the sweep again.",
        ) from None


def record_location(root: Path, url: str) -> None:
    """Record that the store of the run in `root` lies at `url`.

    Raises
    ------
    LocationError
        The run has a store already, elsewhere.
    """
    if (root / RECORD).exists() or (root / STORE).exists():
        known = store_location(root)
        if known != url:
            raise LocationError(
                where=str(root),
                expected=f"the run's store at {known}",
                found=f"a sweep that puts it at {url}",
                remedy="Choose another --out folder for another store.",
            )
        return
    if url != str(root / STORE):
        write_whole(root / RECORD, json.dumps({"url": url}).encode())


def named_store(target: str | Path) -> str:
    """Return the path or URL of the store that people mean: a run's folder stands for its store.

    Raises
    ------
    LocationError
        `target` is a file, or a run's record of its store cannot be read.
    """
    text = str(target)
    path = Path(text)
    if "://" in text or path.suffix == ".zarr" or (path / "commits").is_dir():
        return text
    if path.exists() and not path.is_dir():
        raise LocationError(
            where=text, expected="a run's folder, or a store", found="a file", remedy="Name a folder."
        )
    return store_location(path)
