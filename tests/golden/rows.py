"""Small sweeps of every kind, run from nothing, and their rows as a table that can be held against a recorded one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

import stitchpipe as sp
from stitchpipe.run import Run
from tests.tiny_sweep import run_steps

if TYPE_CHECKING:
    from stitchpipe.engine.cluster import Cluster

HERE = Path(__file__).parent
SWEEPS = ("kept", "unkept", "ingested", "tokens")
MADE_HERE = ("source_digest", "target_digest", "key")
"""Columns that hold digests of activations: another processor rounds in another way, and gives others."""
TRAINED = ("stitch_", "ood_")
"""How the names of those measures begin that come after a training, or after neighbours and ties."""


def run_sweep(name: str, folder: Path, cluster: Cluster | None = None) -> pd.DataFrame:
    """Run one of the sweeps in an empty folder; return its rows in a settled order, digests cut short."""
    path = folder / f"{name}.toml"
    path.write_text((HERE / "sweeps" / path.name).read_text("utf-8"), "utf-8")
    root = folder / "run"
    if name == "ingested":
        _ingest(folder, root)
    if name == "tokens":
        _oblong(folder)
    run_steps(Run.open(path, root), cluster)
    return settled(sp.open(root).results())


def settled(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows sorted by what they are, so that the order of files has no part in it."""
    short = rows.assign(**{name: rows[name].str[:20] for name in MADE_HERE})
    by = ["index", "view", "source_model", "source_layer", "target_model", "target_layer", "method", "init",
          "objective", "seed", "augmented"]  # fmt: skip
    return short.sort_values(by, na_position="first", kind="stable", ignore_index=True)


def recorded(name: str) -> pd.DataFrame:
    """Return the rows as they were recorded."""
    return pd.read_csv(HERE / f"{name}.csv", keep_default_na=False, na_values=[""])


def write(name: str, rows: pd.DataFrame) -> None:
    """Record rows; floats in the shortest form that reads back equal."""
    rows.to_csv(HERE / f"{name}.csv", index=False, lineterminator="\n")


def _ingest(folder: Path, root: Path) -> None:
    """Put sums of small whole numbers into a store: the same bytes on every machine."""
    for split, n in (("train", 60), ("test", 41)):
        for number, (model, layers) in enumerate(
            {"one": ("layer10", "layer2"), "other": ("b", "unused")}.items()
        ):
            base = np.random.default_rng(n).integers(-4, 5, (n, 5))
            rng = np.random.default_rng([n, number])
            arrays = {
                name: (base @ rng.integers(-3, 4, (5, 7)) + rng.integers(-1, 2, (n, 7))).astype("float32")
                for name in layers
            }
            path = folder / f"{model}-{split}.npz"
            np.savez(path, ids=np.array([f"{split}-{i:02d}" for i in range(n)]), **arrays)
            sp.ingest_files(root, [path], dataset="mine", split=split, model=model, row_groups=4)


def _oblong(folder: Path) -> None:
    digits = load_digits()
    images = np.pad(digits.images.astype("float32")[:240] / 16, ((0, 0), (0, 0), (2, 2)))
    for split, chosen in (("train", slice(0, 160)), ("test", slice(160, 240))):
        ids = np.array([f"{split}-{place:03d}" for place in range(len(images[chosen]))])
        np.savez(
            folder / f"{split}.npz", images=images[chosen, None], labels=digits.target[:240][chosen], ids=ids
        )


if __name__ == "__main__":
    import sys
    import tempfile

    for sweep in sys.argv[1:] or SWEEPS:
        with tempfile.TemporaryDirectory() as made:
            write(sweep, run_sweep(sweep, Path(made)))
