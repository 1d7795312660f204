"""Every key that names stored work, of declarations alone: fixed digests stand in for what activations hold."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from types import SimpleNamespace

from stitchpipe.run import LayerName, Run, run_keys
from stitchpipe.run.activations import End, dump_declaration

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
    run = Run.open(DECLARED, folder / "kept")
    path = folder / "trained.toml"
    path.write_text(TRAINED, "utf-8")
    trained = Run.open(path, folder / "trained")
    known = {name: stand_in(name, run.layers.info(name)) for name in run.layers.names()}
    found = {
        f"dump declaration: {model.name} {split}": dump_declaration(run.sweep, model, split)
        for model in run.sweep.models
        for split in ("train", "test", "train+1")
    }
    found["training: T"] = trained.networks.declaration(trained.sweep.network("T"))
    for compared in run.sweep.compare:
        of_pairs = run_keys.pair_keys(run, known, compared).matrix
        for (i, source), (j, target) in product(enumerate(known), enumerate(known)):
            found[f"pair: {compared.view} {source} {target}"] = f"{of_pairs[i, j]:016x}"
    for planned in run.stitches:
        label = f"{planned.method} {planned.source} {planned.target} {planned.init} {planned.budget}"
        found[f"stitch: {label}"] = run_keys.stitch_key(run, planned, known)
        if planned.map is not None:
            found[f"map: {planned.map} {planned.source} {planned.target}"] = run_keys.map_key(
                run, known[planned.source], known[planned.target], planned.map
            )
    target = LayerName("A", "layer1.0")
    found[f"detector: {target}"] = run_keys.detector_key(run, known[target])
    return found


def stand_in(name: LayerName, info) -> End:
    """Return a layer on both splits, with digests that follow from its name."""
    sides = [
        SimpleNamespace(
            digest=f"sha256:{name.model}:{name.layer}:{split}",
            fingerprint=f"fingerprint:{name.model}:{split}",
            sample_digest=f"samples:{split}",
            group_digest=None,
            shape=(100, *info.shape),
            identity={},
        )
        for split in ("train", "test")
    ]
    return End(name, *sides)


def recorded() -> dict[str, str]:
    """Return the keys as they were recorded."""
    return json.loads((HERE / "keys.json").read_text("utf-8"))


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as made:
        text = json.dumps(keys(Path(made)), indent=0, sort_keys=True, ensure_ascii=False)
        (HERE / "keys.json").write_text(text + "\n", "utf-8")
