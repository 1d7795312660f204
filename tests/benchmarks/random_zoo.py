"""A zoo of random layers, from ingestion to an answered question, beside what its plan says.

Layers see the same latent variables and are float16, ten to a model. Each zoo is compared in a process of its own,
which prints what it is at, and what each step took:

    python -m tests.benchmarks.random_zoo --layers 100 300 --images 2000 --width 64
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import log
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.tables import Table

LAYERS_OF_A_MODEL = 10
BATCH = 500
QUESTION = (
    "SELECT target_model, avg(value) AS mean, max(value) AS most FROM results "
    "WHERE index = 'cka' AND source_model <> target_model GROUP BY ALL"
)


@dataclass(frozen=True)
class Zoo:
    """Random layers, and how they are compared.

    Attributes
    ----------
    widths
        Of a model's layers in turn.
    splits
        Their sizes.
    """

    layers: int
    images: int
    widths: tuple[int, ...]
    indices: tuple[str, ...] = ("cka", "procrustes", "cca", "svcca")
    intervals: bool = False
    workers: int = 2
    memory_gib: float = 2.0

    def width(self, layer: int) -> int:
        return self.widths[layer % len(self.widths)]

    @property
    def models(self) -> dict[str, list[int]]:
        """Model → its layers' numbers."""
        return {
            f"m{first // LAYERS_OF_A_MODEL:03d}": list(
                range(first, min(first + LAYERS_OF_A_MODEL, self.layers))
            )
            for first in range(0, self.layers, LAYERS_OF_A_MODEL)
        }

    def batches(self, split: str, layers: list[int]):
        """Yield ids and rows of some layers, in order; the same for the same layer, whatever else there is."""
        latent = np.random.default_rng(len(split)).standard_normal((self.images, 32), np.float32)
        for start in range(0, self.images, BATCH):
            rows = {}
            for layer in layers:
                rng, width = np.random.default_rng([layer, 0]), self.width(layer)
                mixing = rng.standard_normal((32, width), np.float32) / 6
                noise = np.random.default_rng([layer, start + 1]).standard_normal(
                    (min(BATCH, self.images - start), width), np.float32
                )
                mixed = latent[start : start + BATCH] @ mixing + 0.5 * noise
                rows[f"layer{layer % LAYERS_OF_A_MODEL}"] = np.maximum(mixed, 0).astype(np.float16)
            yield [f"{split}-{k:06d}" for k in range(start, start + len(mixed))], rows

    @property
    def splits(self) -> tuple[str, ...]:
        """What is ingested: a training split where maps are fitted."""
        return ("train", "test") if any(name.startswith("dm_") for name in self.indices) else ("test",)

    @property
    def sweep(self) -> str:
        """The declaration that compares all of it."""
        models = "".join(f'[[models]]\nname = "{name}"\ningested = true\n' for name in self.models)
        return (
            f'name = "zoo"\ndata = {{ kind = "store", name = "random" }}\n{models}'
            f'[[compare]]\nview = "pooled"\nindices = {json.dumps(self.indices)}\n'
            f"[certainty]\nintervals = {json.dumps(self.intervals)}\npermutations = 0\n"
            f"[run]\nworkers = {self.workers}\nmemory_limit_bytes = {int(self.memory_gib * 2**30)}\n"
        )

    def ingest(self, place: Path) -> None:
        from stitchpipe import ingest_batches

        for model, layers in self.models.items():
            for split in self.splits:
                ingest_batches(place, self.batches(split, layers), dataset="random", split=split, model=model)


class Stages:
    """Times each step, and says so while it runs."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = {}
        self.cpu: dict[str, float] = {}

    def take(self, name: str, act):
        say(f"{name} …")
        begun, busy = time.perf_counter(), cpu_seconds()
        found = act()
        self.wall[name] = round(time.perf_counter() - begun, 3)
        self.cpu[name] = round(cpu_seconds() - busy, 2)
        say(f"{name}: {self.wall[name]:.2f} s, {self.cpu[name]:.2f} CPU s")
        return found


def cpu_seconds() -> float:
    """Return what this process and those that it has ended have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Progress:
    """Says how far a comparison is, every ten seconds; and the most that its summaries take meanwhile."""

    def __init__(self, summaries: Path) -> None:
        self._summaries, self._begun, self._said = summaries, time.perf_counter(), 0.0
        self.temporary_bytes = 0

    def __call__(self, done: int, total: int) -> None:
        now = time.perf_counter() - self._begun
        if now - self._said > 10 or done == total:
            self._said = now
            say(f"  {done} of {total} tasks, {now:.0f} s")
        self.temporary_bytes = max(self.temporary_bytes, bytes_under(self._summaries))


def bytes_under(folder: Path) -> int:
    """Return the bytes of all files below a folder, those that go meanwhile left out."""
    total = 0
    for at, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(at, name)).st_size  # noqa: PTH116, PTH118 - many small files
            except OSError:
                continue
    return total


def measure(zoo: Zoo, folder: Path) -> dict[str, Any]:
    """Take a zoo from rows to answers; return what was planned and what was seen."""
    # Workers import this module, and need nothing of what follows.
    from stitchpipe import steps
    from stitchpipe.asking import nearest
    from stitchpipe.config import parse
    from stitchpipe.run import Run, RunPlace
    from stitchpipe.steps.forecast import forecast
    from stitchpipe.steps.forecast_seconds import engine_seconds
    from tests.benchmarks.compare_in_process import Memory

    stages, memory = Stages(), Memory()
    stages.take("ingest", lambda: zoo.ingest(folder / "run"))
    place = RunPlace.at(folder / "run")
    run = Run.open(parse(zoo.sweep, where="zoo", folder=folder), place)
    ahead = stages.take("plan", lambda: forecast(run))
    planned = stages.take("rates", lambda: engine_seconds(run, ahead.comparison))
    run = Run.open(parse(zoo.sweep, where="zoo", folder=folder), place)
    summaries = Path(run.writable_summaries().url)
    progress = Progress(summaries)
    memory.start()
    record = stages.take("compare", lambda: steps.compare(run, report=progress))
    results = place.results
    first = zoo.models[next(iter(zoo.models))][0]
    ask = {"measure": zoo.indices[0], "view": "pooled"}
    stages.take("first question", lambda: results.query(QUESTION))
    stages.take("query", lambda: results.query(QUESTION))
    found = stages.take("nearest", lambda: nearest(place, f"m000/layer{first}", **ask))
    assert len(found) == min(10, zoo.layers - 1)
    cost = ahead.comparison.cost
    rows = record["numbers"]
    return {
        "zoo": asdict(zoo),
        "pairs": record["computed"],
        "rows": rows,
        "wall_s": stages.wall,
        "cpu_s": stages.cpu,
        "peak_bytes": {"all": memory.total, "largest": memory.largest, "planned": cost.peak_bytes},
        "store_bytes": bytes_under(Path(run.place.url) / "store.zarr"),
        "results_bytes": bytes_under(Path(run.place.url) / "results"),
        "temporary_bytes": {"planned": cost.temporary_bytes, "seen": progress.temporary_bytes},
        "planned_s": {"compare": planned.total, **planned.parts},
        "planned_results_bytes": planned.result_bytes,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, nargs="+", default=[100, 300])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--width", type=int, nargs="+", default=[64], help="of layers, in turn")
    parser.add_argument("--indices", nargs="+", default=["cka", "procrustes", "cca", "svcca"])
    parser.add_argument("--intervals", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory-gib", type=float, default=2.0)
    parser.add_argument("--folder", type=Path, help="where the zoos lie while they are compared")
    parser.add_argument("--json", action="store_true", help="one zoo, in this process; print what was seen")
    options = parser.parse_args()
    if options.json:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            zoo = Zoo(
                options.layers[0], options.images, tuple(options.width), tuple(options.indices),
                options.intervals, options.workers, options.memory_gib,
            )  # fmt: skip
            print(json.dumps(measure(zoo, Path(folder))))
        return
    show([apart(layers, sys.argv[1:]) for layers in options.layers])


def apart(layers: int, arguments: list[str]) -> dict[str, Any]:
    """Measure a zoo of so many layers in a process of its own; later options replace earlier ones."""
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.random_zoo",
        *arguments,
        "--layers",
        str(layers),
        "--json",
    ]
    say(f"{layers} layers")
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def show(found: list[dict[str, Any]]) -> None:
    """Print what was planned beside what was seen, and how each grows with the layers."""
    zoo = found[0]["zoo"]
    about = f"{zoo['images']} images, widths {zoo['widths']}, {', '.join(zoo['indices'])}, {zoo['workers']} workers"
    table = Table("A zoo of random layers", about)
    for one in found:
        wall, cpu, mib = one["wall_s"], one["cpu_s"], 2**20
        table.add(
            layers=one["zoo"]["layers"],
            pairs=one["pairs"],
            rows=one["rows"],
            plan_s=f"{wall['plan']:.1f}",
            compare_s=f"{wall['compare']:.1f}",
            planned_s=f"{one['planned_s']['compare']:.1f}",
            compare_CPU_s=f"{cpu['compare']:.1f}",
            first_question_s=f"{wall['first question']:.2f}",
            query_s=f"{wall['query']:.3f}",
            nearest_s=f"{wall['nearest']:.3f}",
            peak_MiB=f"{one['peak_bytes']['all'] / mib:.0f}",
            largest_process_MiB=f"{one['peak_bytes']['largest'] / mib:.0f}",
            planned_for_a_worker_MiB=f"{one['peak_bytes']['planned'] / mib:.0f}",
            store_MiB=f"{one['store_bytes'] / mib:.0f}",
            temporary_MiB=f"{one['temporary_bytes']['seen'] / mib:.1f}",
            planned_temporary_MiB=f"{one['temporary_bytes']['planned'] / mib:.1f}",
            bytes_a_row=f"{one['results_bytes'] / one['rows']:.1f}",
        )
    table.show()
    for less, more in pairwise(found):
        fewer, many = less["zoo"]["layers"], more["zoo"]["layers"]
        grown = {
            name: log(more[kind][name] / less[kind][name]) / log(many / fewer)
            for kind, name in (("wall_s", "compare"), ("cpu_s", "compare"), ("wall_s", "plan"))
        } | {"rows": log(more["rows"] / less["rows"]) / log(many / fewer)}
        told = ", ".join(f"{name} {exponent:.2f}" for name, exponent in grown.items())
        print(f"exponent of growth from {fewer} to {many} layers: {told}")


if __name__ == "__main__":
    main()
