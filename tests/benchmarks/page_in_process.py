"""One stage of the benchmark of the page, in a process of its own, whose peak memory is its own: prints JSON.

The made-up zoo is as smooth as real ones are: similarity falls with the distance in depth, under noise in the second
digit; intervals are some hundredths wide, and few pairs are above a family-wise p of .05.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from functools import partial

import numpy as np
import pyarrow as pa
from scipy.special import ndtri

from stitchpipe import registry
from stitchpipe.report import COLUMNS, Comparison, Gathering, Told, page_files, rendered
from stitchpipe.report.matrices import Layer, Matrix, View
from stitchpipe.report.server import PageServer
from stitchpipe.results import SCHEMA, Catalogue, frame_of
from stitchpipe.run.place import RunPlace
from stitchpipe.studies import Evidence, Facts, answers, stitches
from storage import CheckedFiles, NotFoundError, open_place
from tests.benchmarks.results_in_process import peak_gib
from tests.results.made_up import zoo_table


def indices(n):
    """Return the names of so many indices."""
    names = [name for name in registry.index_names() if name != "agreement"]
    return tuple([*names, "gulp(0.1)", "ridge_cca(0.1)", "gulp(0.01)"][:n])


def order_of(models, layers):
    return {
        f"net{model:03d}": tuple(f"features.{layer}" for layer in range(layers)) for model in range(models)
    }


def smooth(table, models, layers):
    """Put numbers in the place of those of a made-up table that a zoo might have."""
    n = models * layers
    source, target = (_places(table, side, layers) for side in ("source", "target"))
    index = table["index"].combine_chunks()
    is_symmetric = np.array(
        [bool(registry.index_measure(name).symmetric) for name in index.dictionary.to_pylist()]
    )
    # A symmetric measure has one number for both directions of a pair.
    first, last = np.minimum(source, target), np.maximum(source, target)
    halved = is_symmetric[index.indices.to_numpy()]
    seeds = np.where(halved, first * n + last, source * n + target) + n * n * index.indices.to_numpy()
    noise = [np.random.default_rng(k).permutation(1 << 16)[seeds % (1 << 16)] / (1 << 16) for k in range(5)]
    away = np.abs(source % layers - target % layers) / layers
    value = np.clip(np.exp(-2.5 * away) + ndtri(np.clip(noise[0], 1e-4, 1 - 1e-4)) / 100, 0, 1)
    width = [0.01 + 0.01 * noise[k] for k in (1, 2)]
    p = (1 + np.floor(noise[3] ** 40 * 1000)) / 1001
    columns = {"value": value, "low": value - width[0], "high": value + width[1], "p_family": p, "p_value": p}
    for name, numbers in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(numbers))
    return table


def _places(table, side, layers):
    """Return the place of each row's layer in the zoo."""
    model = table[f"{side}_model"].combine_chunks()
    numbers = np.array([int(name.removeprefix("net")) for name in model.dictionary.to_pylist()])
    return numbers[model.indices.to_numpy()] * layers + table[f"{side}_depth"].to_numpy()


def write(root, models, layers, n_indices):
    """Write the results of a zoo, a part for every eight sources."""
    catalogue, n, rows = Catalogue(CheckedFiles(open_place(root))), models * layers, 0
    for start in range(0, n, 8):
        chosen = slice(start, min(start + 8, n))
        table = smooth(zoo_table(models, layers, indices(n_indices), sources=chosen), models, layers)
        catalogue.write(f"compare-{start:06d}", table)
        rows += len(table)
    catalogue.compact()
    return {"rows": rows}


def report(root, models, layers, n_indices):
    """Read the results and write the page; return what it took, as `stitchpipe report` does but for opening the run."""
    place, order = RunPlace.at(root), order_of(models, layers)
    held = place.results.held()
    baseline, start = peak_gib(), time.process_time()

    def gathered(tables):
        gathering = Gathering(order)
        for table in tables:
            gathering.add(table)
        return gathering.comparison()

    compared = place.results.through_compared(held.by_index, COLUMNS, gathered)
    read = time.process_time() - start
    stitched, facts = stitches(place.results.read([]), order), Facts(layer_order=order)
    told = Told(
        title="a zoo",
        compared=compared,
        stitched=stitched,
        answers=answers(Evidence(compared=compared.frame(facts), stitched=stitched, facts=facts)),
        layer_order=order,
        provenance={},
    )
    studied = time.process_time() - start - read
    files = rendered(told)
    place.publish_report(files, {})
    return {
        "read_s": round(read, 1),
        "studies_s": round(studied, 1),
        "write_s": round(time.process_time() - start, 1),
        "page_bytes": len(files["index.html"]),
        "beside_bytes": sum(len(data) for name, data in files.items() if name.startswith("values/")),
        "before_gib": round(baseline, 2),
        "peak_gib": round(peak_gib(), 2),
    }


def large(root, models, layers):
    """Write the page of matrices that were never results: what a server has to hand out."""
    order, n = order_of(models, layers), models * layers
    axis = tuple(Layer(model, layer) for model, names in order.items() for layer in names)
    generator, depth = np.random.default_rng(0), np.arange(n) % layers
    base = np.exp(-2.5 * np.abs(depth[:, None] - depth) / layers)
    view = View("pooled", ("test",), 2000, (2000,) * n, ("1x1",) * n, (64,) * n)
    matrices = []
    for index in ("cka", "dm_r2"):
        values = np.clip(base + generator.normal(0, 0.01, (n, n)), 0, 1)
        if registry.index_measure(index).symmetric:
            values = np.triu(values) + np.triu(values, 1).T
        width = 0.01 + 0.01 * generator.random((n, n), np.float32)
        limits = {
            name: (values + sign * width).astype(np.float32) for name, sign in (("low", -1), ("high", 1))
        }
        matrices.append(
            Matrix(
                index, "pooled", index, values, limits, np.ones((n, n), np.uint16), (), 2000, 0.0, 1.0, True
            )
        )
    told = Told(
        title=f"{n:,} layers",
        compared=Comparison(axis, (view,), tuple(matrices)),
        stitched=stitches(frame_of(SCHEMA.empty_table()), order),
        answers=[],
        layer_order=order,
        provenance={},
    )
    start = time.process_time()
    files = page_files(told)
    RunPlace.at(root).publish_report(files, {})
    return {
        "write_s": round(time.process_time() - start, 1),
        "page_bytes": len(files["index.html"]),
        "beside_bytes": sum(len(data) for name, data in files.items() if name.startswith("values/")),
    }


def serve(root):
    """Serve the page until the input ends; then tell the peak."""
    files = RunPlace.at(root).files
    server = PageServer(partial(files.read_published, "report"), NotFoundError)
    print(json.dumps({"url": server.url}), flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    return {"peak_gib": round(peak_gib(), 2)}


if __name__ == "__main__":
    stage, place, *numbers = sys.argv[1:]
    stages = {"write": write, "report": report, "large": large, "serve": serve}
    print(json.dumps(stages[stage](place, *map(int, numbers))))
