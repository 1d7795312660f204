"""A pipeline that only leaves files and waits: `stitchpipe.sweep` for tests that are about orchestration.

``python pretend.py OUT [SECONDS]`` runs the flow over it as the command line would, printing each report.
"""

import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

from flows.runner import Interrupted, run

STEPS = ("train", "dump", "compare", "stitch", "report")
NAMES = (
    "STEPS",
    "load",
    "units",
    "train",
    "dump",
    "compare",
    "fit_maps",
    "stitch",
    "report",
    "parse_part",
    "cluster_of",
)


class PretendError(ValueError):
    def __init__(self):
        self.where, self.expected, self.found, self.remedy = "missing.toml", "a sweep", "nothing", "Name one."
        super().__init__("missing.toml: expected a sweep, found nothing. Name one.")


class Pretend:
    """The functions of `stitchpipe.sweep`, recording their calls and how many stitches ran at a time."""

    STEPS = STEPS

    def __init__(self, seconds=0.0):
        self.seconds, self.calls = seconds, []
        self._lock, self._stitching, self.peak_stitching = threading.Lock(), 0, 0

    def load(self, sweep):
        if sweep == "missing.toml":
            raise PretendError
        return SimpleNamespace(name=sweep)

    def units(self, sweep, folder=None):
        return SimpleNamespace(
            models=("a", "b"),
            dumps=(("a", "train"), ("a", "test"), ("b", "train"), ("b", "test")),
            views=("positions", "pooled"),
            targets=(("a", "layer1.0"), ("a", "layer1.1"), ("a", "layer2.0"), ("a", "layer2.1")),
        )

    def cluster_of(self, sweep, scheduler):
        return nullcontext(scheduler)

    def parse_part(self, text):
        return {"1/1": (0, 1)}[text]

    def train(self, sweep, folder, model, *, report):
        return self._unit(folder, "train", model, report)

    def dump(self, sweep, folder, model, split, *, part, report):
        assert part == (0, 1)
        return self._unit(folder, "dump", f"{model} {split}", report)

    def compare(self, sweep, folder, *, cluster, report):
        return self._unit(folder, "compare", "all", report) | {"scheduler": cluster}

    def fit_maps(self, sweep, folder, *, cluster, report):
        return self._unit(folder, "fit maps", "all", report)

    def stitch(self, sweep, folder, model, layer, *, report):
        with self._lock:
            self._stitching += 1
            self.peak_stitching = max(self.peak_stitching, self._stitching)
        try:
            return self._unit(folder, "stitch", f"{model} {layer}", report)
        finally:
            with self._lock:
                self._stitching -= 1

    def report(self, sweep, folder):
        return self._unit(folder, "report", sweep.name, lambda done, total: None) | {
            "findings": [{"title": "Is a|b?", "answer": "<b>yes</b>"}]
        }

    def _unit(self, folder, step, unit, report):
        self.calls.append((step, unit))
        for done in range(10):
            report(done, 10)
            time.sleep(self.seconds / 10)
        report(10, 10)
        folder.root.mkdir(parents=True, exist_ok=True)
        (folder.root / f"{step} {unit}".replace("/", "-")).touch()
        return {"step": step, "unit": unit}


def install(pretend, put=setattr):
    """Put the pretended functions where the flows look for them."""
    from stitchpipe import sweep

    for name in NAMES:
        put(sweep, name, getattr(pretend, name))


if __name__ == "__main__":
    install(Pretend(float(sys.argv[2])))
    try:
        run(
            "pretend",
            Path(sys.argv[1]),
            steps=STEPS,
            scheduler=None,
            progress=lambda unit, done, total: print(f"{unit}: {done}/{total}", flush=True),
        )
    except Interrupted as interrupted:
        print(interrupted, flush=True)
        sys.exit(interrupted.exit_code)
