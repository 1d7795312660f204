"""Every key that names stored work, of declarations alone: fixed digests stand in for what activations hold."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

from stitchpipe.config import load
from stitchpipe.sweep import dumping, ends, training
from stitchpipe.sweep.jobs import LayerName, jobs
from stitchpipe.sweep.networks import layer_table
from stitchpipe.sweep.out_of_distribution import Distribution

HERE = Path(__file__).parent
DECLARED = HERE / "sweeps" / "kept.toml"
TRAINED = """
name = "trained"
data = { kind = "digits" }
[[models]]
name = "T"
architecture = "cifar_resnet"
options = { in_channels = 1, blocks = [1, 1, 1], widths = [4, 6, 8] }
train = { epochs = 2, seed = 7 }
"""


def keys(folder: Path) -> dict[str, str]:
    """Return every key by what it is of."""
    sweep = load(DECLARED)
    path = folder / "trained.toml"
    path.write_text(TRAINED, "utf-8")
    trained = load(path)
    table = layer_table(sweep)
    known = {
        LayerName(model, info.name): stand_in(model, info) for model, infos in table.items() for info in infos
    }
    found = {
        f"dump declaration: {model.name} {split}": dumping.dump_declaration(sweep, model, split)
        for model in sweep.models
        for split in ("train", "test", "train+1")
    }
    found["training: T"] = training.declaration(trained, trained.models[0])
    for compared in sweep.compare:
        for (source, target), key in ends.pair_keys(sweep, known, compared).items():
            found[f"pair: {compared.view} {source} {target}"] = key
    for job in jobs(sweep, table):
        label = f"{job.method} {job.source} {job.target} {job.init} {job.budget}"
        found[f"stitch: {label}"] = ends.stitch_key(sweep, job, known)
        if job.map is not None:
            found[f"map: {job.map} {job.source} {job.target}"] = ends.map_key(
                sweep, known[job.source], known[job.target], job.map
            )
    target = LayerName("A", "layer1.0")
    watched = SimpleNamespace(_target=known[target], _sweep=sweep)
    found[f"detector: {target}"] = Distribution._key(watched)
    return found


def stand_in(model: str, info) -> ends.End:
    """Return a layer on both splits, with digests that follow from its name."""
    sides = [
        SimpleNamespace(
            digest=f"sha256:{model}:{info.name}:{split}",
            fingerprint=f"fingerprint:{model}:{split}",
            sample_digest=f"samples:{split}",
            shape=(100, *info.shape),
            identity={},
        )
        for split in ("train", "test")
    ]
    return ends.End(LayerName(model, info.name), *sides)


def recorded() -> dict[str, str]:
    """Return the keys as they were recorded."""
    return json.loads((HERE / "keys.json").read_text("utf-8"))


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as made:
        text = json.dumps(keys(Path(made)), indent=0, sort_keys=True, ensure_ascii=False)
        (HERE / "keys.json").write_text(text + "\n", "utf-8")
