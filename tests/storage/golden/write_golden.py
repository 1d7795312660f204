"""What a golden store holds, by formula, and the command that wrote it: see README.md beside this file."""

import sys

import numpy as np

from storage import Address, LayerSpec, Store, open_store

N_SAMPLES, ROW_GROUPS = 13, 3
IDS = [f"sample-{number:02d}" for number in range(N_SAMPLES)]
LABELS = [number % 3 for number in range(N_SAMPLES)]
CLASSES = ["zero", "one", "two"]
MODELS = {"Net/A": "float32", "net b": "float16"}
LAYERS = {"Net/A": ("layer1.0", "blocks.1", "logits"), "net b": ("layer1.0", "blocks.1")}
SHAPES = {"layer1.0": (2, 3, 4), "blocks.1": (3, 5), "logits": (3,)}


def value(model: str, layer: str, dtype: str) -> np.ndarray:
    """Return a layer in the data set's order: eighths between −16 and 16, exact in every dtype."""
    seed = sum(model.encode()) + 7 * sum(layer.encode())
    size = int(np.prod(SHAPES[layer]))
    numbers = (seed + 31 * np.arange(N_SAMPLES)[:, None] + 17 * np.arange(size)[None]) % 256
    return ((numbers - 128) / 8).reshape(N_SAMPLES, *SHAPES[layer]).astype(dtype)


def address(model: str, layer: str) -> Address:
    """Return where a layer lies."""
    return Address("shapes", "Test 1", model, layer)


def write(url: str) -> Store:
    """Write the store, everything about it fixed."""
    store = open_store(url, mode="a")
    store.add_split(
        "shapes",
        "Test 1",
        IDS,
        labels=LABELS,
        class_names=CLASSES,
        row_groups=ROW_GROUPS,
        seed=5,
        provenance={"made": "by formula"},
    )
    for model, dtype in MODELS.items():
        dump = store.begin_dump(
            dataset="shapes",
            split="Test 1",
            model=model,
            layers={layer: LayerSpec(SHAPES[layer], dtype) for layer in LAYERS[model]},
            identity={"weights": "0" * 64, "dtype": dtype},
            provenance={"writer": "golden"},
        )
        for row_group in dump.missing_row_groups():
            rows = dump.split.original_index[slice(*dump.split.row_groups[row_group])]
            dump.write(row_group, {layer: value(model, layer, dtype)[rows] for layer in LAYERS[model]})
        dump.seal()
    return store


if __name__ == "__main__":
    write(sys.argv[1])
