"""Results of an imaginary run: two seeds of a nine-block network and a narrower one, as the quickstart declares them.

Similarity falls with the distance in depth, DM stitches follow it, TLM stitches hardly do and are far out of
distribution. The numbers are made up; only their shape resembles a real run.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd

from stitchpipe.results import SCHEMA
from stitchpipe.studies import Evidence, Facts, answers, of_deletions, of_layers

LAYERS = tuple(f"layer{stage}.{block}" for stage in (1, 2, 3) for block in (0, 1, 2))
WIDTHS = {"A": (16, 32, 64), "B": (16, 32, 64), "C": (8, 16, 32)}
GRIDS = ((8, 8), (4, 4), (2, 2))
ORDER = dict.fromkeys(WIDTHS, LAYERS)
IMAGES = 450
POSITIONS = (
    "cka_biased",
    "cca",
    "cca_sq",
    "svcca",
    "pwcca",
    "procrustes",
    "procrustes_angle",
    "dm_r2",
    "dm_struct",
)
POOLED = ("cka", *POSITIONS)
PROVENANCE = {
    "data": {"name": "digits", "train": "1347 images", "test": "450 images", "digest": "3f" * 32},
    "models": {
        name: {
            "architecture": "cifar_resnet",
            "options": {"blocks": [3, 3, 3], "widths": list(widths)},
            "weights digest": f"{number:02x}" * 32,
            "test accuracy": 0.98 + number / 1000,
        }
        for number, (name, widths) in enumerate(WIDTHS.items(), 10)
    },
    "versions": {
        "stitchpipe": "0.1.0",
        "python": "3.11.2",
        "torch": "2.15.0",
        "numpy": "2.4.0",
        "zarr": "3.1.6",
    },
    "settings": {"dtype": "float32", "batch size": 64, "row groups": 20, "k-NN neighbours": 10},
}


def stage(layer):
    return int(layer[5]) - 1


def results(*, order=ORDER, views=("positions", "pooled"), stitches=True):
    """Return the whole run in long form."""
    return _results(tuple(order.items()), views, stitches).copy()


@cache
def _results(order, views, stitches):
    order = dict(order)
    generator = np.random.default_rng(0)
    records = []
    for view in views:
        for target, target_layers in order.items():
            for source, source_layers in order.items():
                for target_layer in target_layers:
                    for source_layer in source_layers:
                        pair = (source, source_layer, target, target_layer)
                        records += comparisons(view, pair, order, generator)
    if stitches:
        records += all_stitches(order, generator)
    return pd.DataFrame(records, columns=SCHEMA.names)


def few_indices():
    """Return the run with its stitches and three indices of comparisons: less to read for studies of stitches."""
    frame = results(views=("pooled",))
    return frame[frame["method"].notna() | frame["index"].isin(["cka", "procrustes", "dm_r2"])].reset_index(
        drop=True
    )


def evidence(frame, order=ORDER, *, layers=(), deletions=(), **facts):
    """Return results as a study takes them: `facts` of `stitchpipe.studies.Facts`, `layers` numbers of layers."""
    made = Evidence.of_results(frame, Facts(layer_order=order, **facts), label="made up")
    return replace(made, layers=of_layers(layers), deletions=of_deletions(deletions))


def layer_number(model, layer, measure, value, view="pooled"):
    """Return a number of one layer, as a run keeps it."""
    return {
        "model": model,
        "layer": layer,
        "view": view,
        "measure": measure,
        "value": value,
        "n_samples": IMAGES,
    }


def answered(frame, order=ORDER, **facts):
    """Return the answers of all studies."""
    return answers(evidence(frame, order, **facts))


def comparisons(view, pair, order, generator):
    closeness = _closeness(pair, order)
    for index in POSITIONS if view == "positions" else POOLED:
        noise = 0.0 if pair[:2] == pair[2:] else float(generator.normal(0, 0.02))
        value = {"procrustes": 2 * (1 - closeness), "procrustes_angle": np.pi / 2 * (1 - closeness)}.get(
            index, 1 - closeness if index == "dm_struct" else closeness
        )
        value, status, reason = abs(value + noise), "ok", None
        if index == "cca" and pair[2] == "C" and pair[3] == "layer3.2":
            value, status, reason = None, "constant", "the target's features do not vary"
        yield record(
            view, pair, index=index, value=value, status=status, reason=reason,
            fit_split="train" if index.startswith("dm_") else None,
            rank=16 if index in {"cca", "dm_r2"} else None, condition=31.5 if index in {"cca", "dm_r2"} else None,
        )  # fmt: skip


def all_stitches(order, generator):
    first, second = list(order)[:2]
    for target_layer in order[first]:
        for source in (first, second):
            for source_layer in order[source]:
                pair = (source, source_layer, first, target_layer)
                accuracy = max(0.1, _closeness(pair, order) ** 2 + float(generator.normal(0, 0.01)))
                accuracy = 1.0 if pair[:2] == pair[2:] else min(accuracy, 0.99)
                yield from stitch(pair, "dm", accuracy, 1 - accuracy, (1 - accuracy) * 0.4)
    last = {source: order[source][-1] for source in (first, second)}
    for target_layer in order[first]:
        own, corresponding = (
            (first, target_layer, first, target_layer),
            (second, target_layer, first, target_layer),
        )
        pairs = [(own, "random"), (own, "identity"), (corresponding, "random")]
        pairs += [((source, layer, first, target_layer), "random") for source, layer in last.items()]
        for pair, init in dict.fromkeys(pairs):
            late = 0.97 if pair[1] == last[pair[0]] else 0.9
            accuracy = min(1.0, late + float(generator.normal(0, 0.02)))
            yield from stitch(
                pair, "tlm", accuracy, 0.98, 3.1, init=init, objective="hard_labels", seed=0, steps=300
            )


def stitch(pair, method, accuracy, distance, frechet, **budget):
    if budget:
        budget["final_loss"] = 0.05 + (1 - accuracy)
    held = {
        "stitch_accuracy": 0.98 * accuracy,
        "stitch_relative_accuracy": accuracy,
        "ood_mahalanobis": distance,
        "ood_knn": distance * 0.9,
        "ood_frechet": frechet,
        "ood_negative_mass": 0.2 * distance,
        "ood_vim_positional": distance * 0.8,
        "ood_energy": distance * 0.7,
    }
    for index, value in held.items():
        auroc = 0.5 + value / 2 if index in {"ood_mahalanobis", "ood_knn"} else None
        yield record(
            "positions",
            pair,
            index=index,
            value=value,
            auroc=auroc,
            method=method,
            fit_split="train",
            **budget,
        )


def record(view, pair, **changes):
    source, source_layer, target, target_layer = pair
    grid = GRIDS[stage(target_layer)] if view == "positions" else ()
    return {
        **dict.fromkeys(SCHEMA.names),
        "status": "ok",
        "view": view,
        "grid": "x".join(map(str, grid)) or "1x1",
        "source_model": source,
        "source_layer": source_layer,
        "target_model": target,
        "target_layer": target_layer,
        "split": "test",
        "n_samples": IMAGES,
        "n_rows": IMAGES * int(np.prod(grid)) if grid else IMAGES,
        "p": WIDTHS.get(source, (16, 32, 64))[stage(source_layer)],
        "q": WIDTHS.get(target, (16, 32, 64))[stage(target_layer)],
        "source_digest": "aa",
        "target_digest": "bb",
        **changes,
    }


def _closeness(pair, order):
    source, source_layer, target, target_layer = pair
    distance = abs(order[source].index(source_layer) - order[target].index(target_layer))
    return float(np.exp(-0.18 * distance)) * (1.0 if source == target else 0.93)
