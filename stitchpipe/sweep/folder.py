"""The folder of a run: where the store, the results, the maps and the report of a sweep lie."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stitchpipe.config import ConfigError
from stitchpipe.errors import named_line
from stitchpipe.location import store_location
from stitchpipe.results import Catalogue
from stitchpipe.wholefile import write_whole
from storage import ReadOnlyError, Store, Summaries, WriteError, encode_name, open_store, open_summaries

if TYPE_CHECKING:
    from pathlib import Path

    from stitchpipe.config import Sweep


@dataclass(frozen=True, slots=True)
class Folder:
    """Paths below a run's root. Nothing is created before something is written."""

    root: Path

    @property
    def store(self) -> str:
        """Return the path or URL of the activation store, as the run recorded it."""
        return store_location(self.root)

    def store_of(self, sweep: Sweep) -> str:
        """Return where `sweep` puts the activation store: where it says, or where the run has it."""
        return sweep.store.url or self.store

    @property
    def catalogue(self) -> Catalogue:
        """Return the results, ``results/*.parquet``."""
        return Catalogue(self.root / "results")

    @property
    def report(self) -> Path:
        """Return the folder of the page and its figures."""
        return self.root / "report"

    @property
    def findings(self) -> Path:
        """Return the record of the findings that the report shows."""
        return self.report / "findings.json"

    @property
    def declaration(self) -> Path:
        """Return the sweep that was dumped last, with its defaults: what a repair dumps again by."""
        return self.root / "sweep.toml"

    def weights(self, model: str, key: str) -> Path:
        """Return where the weights trained under `key` are kept."""
        return self.root / "models" / encode_name(model) / f"{key}.safetensors"

    def model_record(self, model: str) -> Path:
        """Return the record of a model: what was declared, which weights that gave."""
        return self.root / "models" / encode_name(model) / "model.json"

    def dump_record(self, model: str, split: str) -> Path:
        """Return the record of a dump: what was declared, which fingerprint that gave."""
        return self.root / "models" / encode_name(model) / f"dump-{encode_name(split)}.json"

    def unkept_record(self, model: str, split: str) -> Path:
        """Return the record of activations that were not kept: what was declared, and what made them."""
        return self.root / "models" / encode_name(model) / f"unkept-{encode_name(split)}.json"

    @property
    def unfinished(self) -> Path:
        """Return the record of the comparison that is in work."""
        return self.root / "comparison.json"

    def curve(self, key: str) -> Path:
        """Return where the losses of a training are kept, with its budget."""
        return self.root / "curves" / f"{key}.json"

    def checkpoint(self, key: str) -> Path:
        """Return where the state of a training is kept while it lasts."""
        return self.root / "checkpoints" / f"{key}.safetensors"

    def map(self, key: str) -> Path:
        """Return where a fitted map is kept."""
        return self.root / "maps" / f"{key}.safetensors"

    def detector(self, key: str) -> Path:
        """Return where a trained detector of foreign representations is kept."""
        return self.root / "detectors" / f"{key}.safetensors"


def opened_store(sweep: Sweep, folder: Folder) -> Store:
    """Return the run's store, opened for reading as the sweep says."""
    return open_store(folder.store_of(sweep), check_reads=sweep.store.check_reads)


def writable_summaries(sweep: Sweep, folder: Folder) -> Summaries:
    """Return where summaries are kept: in the store, or in the run's folder where the store cannot be written."""
    try:
        return open_store(folder.store_of(sweep), mode="a").summaries
    except (ReadOnlyError, WriteError):
        return open_summaries(folder.root / "summaries")


def key_of(*parts: Any) -> str:
    """Return a content key: the first 16 hex digits of SHA-256 over the parts' canonical JSON."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a small JSON record whole or not at all."""
    write_whole(path, json.dumps(record, indent=1, sort_keys=True).encode())


def read_record(path: Path) -> dict[str, Any] | None:
    """Read a record; None where there is none. `ConfigError` if it cannot be read."""
    try:
        record = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(
            where=str(path),
            expected="a record of this run",
            found=named_line(error),
            remedy="Delete the file and run the sweep again: the work it speaks of is found in the store.",
        ) from None
    return record if isinstance(record, dict) else None
