"""Draw the figures of the page "What we found" from the tables beside this file: ``python figures.py``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HERE = Path(__file__).parent
NETWORK = "resnet20"


def matrix(rows: pd.DataFrame, value: str) -> pd.DataFrame:
    """Return sources by targets, both from input to output: names of CIFAR ResNets sort as they lie."""
    return rows.pivot_table(index="source_layer", columns="target_layer", values=value).sort_index(axis=0)


def heat_map(axes: Axes, numbers: pd.DataFrame, title: str) -> None:
    """Draw one matrix with its numbers."""
    axes.imshow(numbers, vmin=0, vmax=1, cmap="cividis")
    for (row, column), number in np.ndenumerate(numbers.to_numpy()):
        colour = "black" if number > 0.6 else "white"
        axes.text(column, row, f"{number:.2f}".lstrip("0"), ha="center", va="center", size=6, color=colour)
    axes.set_xticks(range(numbers.shape[1]), numbers.columns, rotation=60, size=6)
    axes.set_yticks(range(numbers.shape[0]), numbers.index, size=6)
    axes.set(title=title, xlabel="target", ylabel="source")


def main() -> None:
    """Write both figures beside the tables."""
    compared, stitched = (pd.read_csv(HERE / f"{name}.csv") for name in ("pairs", "stitches"))
    within = stitched[(stitched["source_model"] == NETWORK) & (stitched["target_model"] == NETWORK)]
    direct, trained = (
        within[(within["method"] == method) & (within["init"].fillna("random") == "random")]
        for method in ("dm", "tlm")
    )
    own = compared[(compared["source_model"] == NETWORK) & (compared["target_model"] == NETWORK)]

    figure, panels = plt.subplots(1, 3, figsize=(11, 3.9), layout="constrained")
    heat_map(panels[0], matrix(own[own["index"] == "cka"], "value"), "debiased CKA")
    heat_map(panels[1], matrix(direct, "stitched_accuracy"), "accuracy, direct matching")
    heat_map(panels[2], matrix(trained, "stitched_accuracy"), "accuracy, task loss matching")
    figure.savefig(HERE / "itself.svg")

    figure, axes = plt.subplots(figsize=(5, 3.6), layout="constrained")
    for method, rows, marker in (("direct matching", direct, "o"), ("task loss matching", trained, "^")):
        axes.scatter(rows["ood_frechet"], rows["stitched_accuracy"], label=method, marker=marker, alpha=0.7)
    axes.set(xscale="log", xlabel="Fréchet distance from native representations", ylabel="stitched accuracy")
    axes.legend()
    figure.savefig(HERE / "distribution.svg")


if __name__ == "__main__":
    main()
