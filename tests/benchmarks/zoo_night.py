"""A night's zoo: 48 networks of twelve families at small input, as a sweep by rule, and what each phase of it takes.

    python -m tests.benchmarks.zoo_night write FOLDER          # sweep.toml and 250 generated images for each split
    python -m tests.benchmarks.zoo_night run FOLDER --out OUT  # every step in processes of their own; OUT may be s3://…
    python -m flows.loopback --sweep FOLDER/sweep.toml --poll 10 --out OUT   # the same, scheduled, on many workers

Six layers of each network are 288 layers, so that all pairs are more than 80,000 under ten indices; some are
stitched too. `--networks` takes fewer, for the growth of each phase. Printed are wall and processor seconds and the
peak memory of each step, and the bytes and files that the run's place holds behind it; requests to a bucket are its
server's to count.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

IMAGES, SIDE, CLASSES = 250, 32, 10
STEPS = ("inspect", "dump", "compare", "report")
INDICES = (
    "cka", "cka_biased", "rv", "procrustes", "nbs", "cca", "cca_sq", "svcca(0.9)", "gulp(0.1)", "ridge_cca(0.1)",
)  # fmt: skip
FAMILIES = {
    "torchvision": (
        "resnet18", "mobilenet_v2", "resnet34", "resnet50", "resnext50_32x4d", "densenet121", "mobilenet_v3_small",
        "mobilenet_v3_large", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "mnasnet0_5", "mnasnet1_0",
        "regnet_x_400mf", "regnet_y_400mf", "efficientnet_b0", "convnext_tiny", "vgg11_bn", "vgg13_bn",
    ),
    "timm": ("resnet18d", "resnet26t", "regnetx_002", "regnety_002", "efficientnet_lite0", "mobilenetv3_small_050"),
}  # fmt: skip
"""Families that take images of 32 pixels; each network with two seeds. Stitches are between the first two."""
SEEDS = (0, 1)


def sweep(networks: int | None = None) -> str:
    """Return the declaration: two seeds of every network, or of the first of them, with random weights."""
    models = [f"{package}:{name}" for package, names in FAMILIES.items() for name in names]
    models = models[: None if networks is None else networks // len(SEEDS)]
    return f"""name = "zoo-night"
zoo = [{{ models = {json.dumps(models)}, untrained = true, seeds = {list(SEEDS)}, layers = "blocks:6" }}]

[data]
kind = "arrays"
name = "generated"
files = {{ train = "train.npz", test = "test.npz" }}

[dump]
batch_size = 50

[[compare]]
view = "pooled"
indices = {json.dumps(INDICES)}

[[stitch]]
method = "dm"
sources = ["resnet18*/*"]
targets = ["mobilenet_v2*/*"]

[[stitch]]
method = "tlm"
sources = ["resnet18*/*"]
targets = ["mobilenet_v2@0/*"]
steps = 20
batch_size = 64

[certainty]
intervals = false
permutations = 0

[run]
workers = 2
memory_limit_bytes = {2 * 2**30}
"""


def write(folder: Path, networks: int | None = None) -> None:
    """Write the sweep and its images: smooth noise with a colour for each class."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sweep.toml").write_text(sweep(networks), "utf-8")
    for number, split in enumerate(("train", "test")):
        rng = np.random.default_rng(number)
        labels = rng.integers(0, CLASSES, IMAGES)
        colours = np.random.default_rng(9).random((CLASSES, 3))
        coarse = rng.random((IMAGES, 8, 8, 3)) * 0.6 + colours[labels][:, None, None] * 0.4
        images = coarse.repeat(SIDE // 8, axis=1).repeat(SIDE // 8, axis=2)
        np.savez_compressed(folder / f"{split}.npz", images=(255 * images).astype(np.uint8), labels=labels)


def run(folder: Path, out: str) -> None:
    """Take every step in a process of its own, then compare and report with nothing to do; print what each took."""
    for step in (*STEPS, "compare", "report"):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.perf_counter()
        command = [sys.executable, "-m", "stitchpipe.cli", step, str(folder / "sweep.toml"), "--out", out]
        ended = subprocess.run(command, check=False).returncode
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        told = {
            "step": step,
            "exit": ended,
            "wall_s": round(time.perf_counter() - begun, 1),
            "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
            "largest_process_so_far_MiB": after.ru_maxrss // 1024,
            **held(out),
        }
        print(json.dumps(told), flush=True)


def held(out: str) -> dict[str, int]:
    """Return how many bytes and files the run's place holds; a folder alone is walked."""
    if "://" in out:
        return {}
    sizes = [path.stat().st_size for path in Path(out).rglob("*") if path.is_file()]
    page = Path(out) / "report" / "index.html"
    return {
        "bytes": sum(sizes),
        "files": len(sizes),
        "page_bytes": page.stat().st_size if page.exists() else 0,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("act", choices=["write", "run"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out")
    parser.add_argument("--networks", type=int, help="so many of them; default: all")
    options = parser.parse_args()
    write(options.folder, options.networks)
    if options.act == "run":
        run(options.folder, options.out or str(options.folder / "run"))


if __name__ == "__main__":
    main()
