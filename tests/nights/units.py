"""The units of a very small run: a module that does what `flows.work` does, over files written as the steps write them.

What a real step computes is a few numbers here, and takes virtual seconds. Records, weights, states of trainings, dumps
by row groups, result parts and their compaction, maps, curves and the page go through the functions that the real steps
call: `CheckedFiles`, `TrainingState`, `Store.begin_dump`, `Catalogue`, `MapToKeep`, `RunPlace.publish_report`.
"""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import numpy as np

from stitchpipe.algebra.maps import AffineMap
from stitchpipe.measures import Number
from stitchpipe.results.maps import MapToKeep, map_of
from stitchpipe.results.reading import COMPARED
from stitchpipe.results.result import Making, Result, Side, Subject
from stitchpipe.run.agenda import Agenda
from stitchpipe.run.file_names import (
    curve_name,
    dump_record,
    inspection_record,
    map_name,
    model_record,
    weights_name,
)
from stitchpipe.run.inventory import take_inventory
from stitchpipe.run.place import STORE, RunPlace
from stitchpipe.run.training_state import TrainingState
from stitchpipe.steps.awaiting import until_listed
from storage import WORK, Address, LayerSpec, UnfinishedError, digest_of, open_store

MODELS, SPLITS, LAYERS = ("a", "b"), ("train", "test"), ("one", "two")
TARGETS = tuple(("b", layer) for layer in LAYERS)
WRITING = {
    name: digest_of([name]) for name in ("compare", *(f"stitch {' '.join(target)}" for target in TARGETS))
}
"""The units that write results, and their keys."""
N_RESULTS = 2 * len(TARGETS) + len(TARGETS)
N_SAMPLES, ROW_GROUPS, EPOCHS, WIDTH = 12, 3, 3, 4
IDS = [f"image {number}" for number in range(N_SAMPLES)]

WORLD = None
"""That of the night that is simulated now."""


def perform(unit, report):  # noqa: PLR0911  (one for each step)
    place = RunPlace.at(unit.out)
    match unit.step, unit.subject:
        case "inspect", (model,):
            _take_time(1)
            place.files.put_record(inspection_record(model), {"layers": list(LAYERS)})
            return {"model": model}
        case "train", (model,):
            return _train(place, model, report)
        case "dump", (model, split):
            return _dump(place, model, split, unit.part, report)
        case "compare", ():
            return _compare(place, unit.without)
        case "fit maps", ():
            return _fit_maps(place, unit.without)
        case "stitch", (model, layer):
            return _stitch(place, layer)
        case "report", ():
            return _report(place)
    raise ValueError(unit)


def _take_time(seconds):
    WORLD.pause(seconds * WORLD.current.process.slowness * WORLD.random.uniform(0.5, 1.5))


def _train(place, model, report):
    """As `stitchpipe.steps.training`: a state behind each epoch, the weights, their record; then the states go."""
    state = TrainingState(place.files, f"{model}-key")
    data = state.load() or f"{model} 0".encode()
    for epoch in range(int(data.split()[1]), EPOCHS):
        report(epoch, EPOCHS)
        _take_time(4)
        data = f"{model} {epoch + 1} {digest_of([data.decode()])}".encode()
        state.save(data)
    name = weights_name(model, "key")
    place.files.write(name, ".safetensors", data)
    record = {"weights": name, "weights_digest": digest_of([data.decode()])}
    place.files.put_record(model_record(model), record)
    state.forget()
    return record


def _trained(place, model):
    record = place.files.record(model_record(model))
    is_there = record is not None and place.files.find(record["weights"]) is not None
    return dict(record) if is_there else None


def _dump(place, model, split, part, report):
    """As `stitchpipe.capture.dump`: what is on disk already is not computed again, and whoever is last seals."""
    weights = _trained(place, model)
    store = open_store(f"{place.url}/{STORE}", mode="a")
    place.declare("name = 'night'\n")
    store.add_split("night", split, IDS, labels=np.arange(N_SAMPLES) % 2, row_groups=ROW_GROUPS)
    dump = store.begin_dump(
        dataset="night",
        split=split,
        model=model,
        layers={layer: LayerSpec((WIDTH,), "float32") for layer in LAYERS},
        identity={"weights": weights["weights_digest"]},
        provenance={"versions": {}},
    )
    number, of = (int(word) for word in part.split("/"))
    for row_group in dump.missing_row_groups(part=number - 1, parts=of):
        report(row_group, ROW_GROUPS)
        if not dump.is_written(row_group):
            dump.write(row_group, _computed(dump, row_group, weights["weights_digest"]))
            WORLD.written.add((dump.identity.key, row_group))
    try:
        dump.seal()
    except UnfinishedError:
        if of == 1:
            raise
        return {"fingerprint": dump.fingerprint, "sealed": False}
    record = {"fingerprint": dump.fingerprint, "sealed": True, "layers": list(LAYERS)}
    place.files.put_record(dump_record(model, split), record)
    return record


def _computed(dump, row_group, weights):
    """Return the blocks of a row group; the world hears who computes what, and whether it lay there already."""
    key = dump.identity.key, row_group
    process = WORLD.current.process
    other = WORLD.computing.get(key)
    WORLD.overlaps += other is not None and other is not process and other.is_alive
    WORLD.redone += key in WORLD.written or WORLD.is_marked(dump, row_group)
    WORLD.computed.append(key)
    WORLD.computing[key] = process
    WORLD.note("compute", f"{dump.identity.label()} row group {row_group}")
    _take_time(8)
    if WORLD.computing.get(key) is process:
        del WORLD.computing[key]
    start, stop = dump.split.row_groups[row_group]
    rows = dump.split.original_index[start:stop]
    seed = int(weights[:8], 16)
    table = {
        layer: np.random.default_rng([seed, rank]).normal(size=(N_SAMPLES, WIDTH))
        for rank, layer in enumerate(LAYERS)
    }
    return {layer: values[rows].astype("float32") for layer, values in table.items()}


def _dumped(place, model, split):
    record = place.files.record(dump_record(model, split))
    if record is None or _trained(place, model) is None:
        return None
    store = open_store(f"{place.url}/{STORE}")
    sealed = store.representations(
        dataset="night", split=split, model=model, fingerprint=record["fingerprint"]
    )
    return dict(record) if {each.address.layer for each in sealed} >= set(LAYERS) else None


def _layers(place, split):
    """Return the rows of every layer, and its digest."""
    store, layers = open_store(f"{place.url}/{STORE}"), {}
    for model in MODELS:
        record = place.files.record(dump_record(model, split))
        for layer in LAYERS:
            found = store.representation(
                Address("night", split, model, layer), fingerprint=record["fingerprint"]
            )
            rows = np.asarray(found.read_rows(slice(None)), np.float64)
            layers[model, layer] = rows[np.argsort(found.split.original_index)], record["fingerprint"]
    return layers


def _side(layers, name):
    return Side(*name, width=WIDTH, digest=layers[name][1])


def _result(layers, source, target, value, key, making=None):
    subject = Subject(
        source=_side(layers, source),
        target=_side(layers, target),
        view="pooled",
        grid="",
        split="test",
        n_samples=N_SAMPLES,
        n_rows=N_SAMPLES,
        key=key,
    )
    return Result("dm_r2" if making is None else "stitch_accuracy", Number(float(value)), subject, making)


def _keys(layers, target):
    sources = [("a", layer) for layer in LAYERS]
    return {
        source: digest_of([*source, *target, layers[source][1], layers[target][1]])[:16] for source in sources
    }


def _compare(place, without):
    """A part of the results for each target layer, each of the numbers of all its sources; then parts are merged.

    As in the engine, what is computed of a layer by itself is kept, and what belongs to a part until its results are.
    """
    if without:  # every pair has a layer of each model
        return {"compared": 0}
    layers, summaries = _layers(place, "test"), open_store(f"{place.url}/{STORE}", mode="a").summaries
    for name, (rows, fingerprint) in layers.items():
        own = digest_of([*name, fingerprint])
        if not summaries.has("own", own):
            summaries.write("own", own, {"square": rows.T @ rows}, {})
    held = {int(key) for keys in place.results.held().by_index.values() for key in keys}
    keys = {target: _keys(layers, target) for target in TARGETS}
    wanted = [target for target in TARGETS if not all(int(key, 16) in held for key in keys[target].values())]
    parts = {target: COMPARED + digest_of(sorted(keys[target].values())) for target in wanted}
    for target, part in parts.items():
        if not summaries.is_whole(WORK, part):
            _take_time(5)
            products = {
                "/".join(source): np.multiply.outer(layers[source][0], layers[target][0])
                for source in keys[target]
            }
            summaries.write(WORK, part, products, {}, durable=False)
    for target, part in parts.items():
        _take_time(1)
        products = summaries.read(WORK, part).arrays
        values = [
            _result(layers, source, target, np.einsum("ijij->", products["/".join(source)]), key)
            for source, key in keys[target].items()
        ]
        place.results.write(part, values)
    summaries.delete(WORK, parts.values())
    place.results.compact(least_parts=2)
    return {"compared": len(TARGETS)}


def _fit_maps(place, without):
    if without:
        return {"maps": 0}
    layers = _layers(place, "train")
    for target in TARGETS:
        key = _map_key(layers, target)
        if place.files.find(map_name(key)) is None:
            _take_time(3)
            rows, wanted = layers["a", target[1]][0], layers[target][0]
            fitted = AffineMap(W=np.round(wanted.T @ rows, 6), b=wanted.mean(0), rank=WIDTH, condition=1.0)
            MapToKeep(place.files, map_name(key), {"target": "/".join(target)}).keep(fitted)
    return {"maps": len(TARGETS)}


def _map_key(layers, target):
    return digest_of([*target, layers["a", target[1]][1], layers[target][1]])[:32]


def _stitch_key(layers, target):
    return f"stitch-{_map_key(layers, target)}"


def _stitch(place, layer):
    """The result and the curve of a stitch, which begins with a fitted map."""
    target = "b", layer
    fit, test = _layers(place, "train"), _layers(place, "test")
    key = _stitch_key(fit, target)
    if not place.results.has(key):
        name = map_name(_map_key(fit, target))
        fitted = map_of(place.files.read(name), where=name)
        _take_time(10)
        value = np.abs(test["a", layer][0] @ fitted.W.T + fitted.b).mean()
        place.files.write(curve_name(key), ".json", json.dumps([float(value)]).encode())
        place.results.write(key, [_result(test, ("a", layer), target, value, key, Making(method="dm"))])
    return {"target": f"b/{layer}"}


def table_text(place):
    """Return all results as text, sorted."""
    frame = place.results.read()
    return frame.sort_values(["index", "source_layer", "target_layer"]).to_csv(index=False)


def _report(place):
    """The page waits for what must be there; see `stitchpipe.steps.awaiting`."""

    def look():
        text = table_text(place) if place.results.contents() else ""
        return SimpleNamespace(text=text, is_whole=text.count("\n") == 1 + N_RESULTS)

    text = until_listed(place, look, lambda: WRITING).text
    _take_time(2)
    place.publish_report({"index.html": f"<html>{text}</html>".encode()}, {"rows": text.count("\n")})
    take_inventory(place)
    return {"page": "report/index.html"}


def kept(unit):
    place = RunPlace.at(unit.out)
    match unit.step, unit.subject:
        case "inspect", (model,):
            record = place.files.record(inspection_record(model))
            return None if record is None else {"model": model}
        case "train", (model,):
            return _trained(place, model)
        case "dump", (model, split):
            return _dumped(place, model, split)
    return None


def done(units):
    found = {unit: record for unit in units if (record := kept(unit)) is not None}
    stitches = [unit for unit in units if unit.step == "stitch"]
    if stitches:
        place = RunPlace.at(stitches[0].out)
        if not all(place.files.record(dump_record(model, "train")) for model in MODELS):
            return found
        layers, there = _layers(place, "train"), set(place.results.keys())
        found |= {unit: {} for unit in stitches if _stitch_key(layers, unit.subject) in there}
    return found


def costs(sweep, out, without=()):
    return {(model, split): 1.0 for model in MODELS for split in SPLITS}


def key(unit):
    return digest_of([unit.name, *unit.without])


def networks(sweep, out, without=()):
    return tuple(model for model in MODELS if model not in without)


def units(sweep, out, without=()):
    there = networks(sweep, out, without)
    return SimpleNamespace(
        models=there,
        dumps=tuple((model, split) for model in there for split in SPLITS),
        views=("pooled",),
        targets=() if without else TARGETS,
        origins={},
        mapped=frozenset(TARGETS),
    )


def _agenda(out, *, is_complete):
    named = {"inspect": tuple(f"inspect {model}" for model in MODELS), "report": ("report",)}
    Agenda("night", time.time(), named, is_complete=is_complete).keep(RunPlace.at(out).files)


def check_declaration(sweep, out, wanted):
    _agenda(out, is_complete=False)


def check(sweep, out, without, wanted):
    _agenda(out, is_complete=True)


def is_mistake(ended):
    return False
