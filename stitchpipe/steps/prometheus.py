"""How far a run is in Prometheus' text format (version 0.0.4), for node_exporter's textfile collector."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from stitchpipe.run.place import STORE, SUMMARIES
from stitchpipe.steps.standing import STATES
from storage import CheckedFiles, open_place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stitchpipe.run.place import RunPlace
    from stitchpipe.steps.standing import Standing

_ESCAPED: Final = {"\\": r"\\", '"': r"\"", "\n": r"\n"}

Sample = tuple[str, "Mapping[str, str]", float]
"""What stands behind the metric's name, labels, value."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric with its samples."""

    name: str
    kind: str
    about: str
    samples: Sequence[Sample]

    def lines(self) -> Iterable[str]:
        """Yield the lines of the metric; none where there is no sample."""
        if self.samples:
            yield f"# HELP {self.name} {self.about}"
            yield f"# TYPE {self.name} {self.kind}"
        for suffix, labels, value in self.samples:
            told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
            yield f"{self.name}{suffix}{{{told}}} {value!r}"


def exposition(standing: Standing, n_bytes: Mapping[str, int]) -> str:
    """Return all metrics of a run; `n_bytes` are those of its parts, as `bytes_of` gives them."""
    lines = [line for metric in _metrics(standing, n_bytes) for line in metric.lines()]
    return "\n".join(lines) + "\n"


def bytes_of(place: RunPlace) -> dict[str, int]:
    """Return the bytes of a run's store and of its other files. A listing of both."""
    files = CheckedFiles(place.files.place, others=(STORE, SUMMARIES))
    names = [name for name in files.place.directories() if name not in (STORE, SUMMARIES)]
    own = [entry for name in ("commits", *names) for entry in files.place.entries(name)]
    return {
        "files": sum(entry.n_bytes for entry in [*files.place.files(), *own]),
        "store": sum(entry.n_bytes for entry in open_place(place.store_url).entries()),
    }


def _metrics(standing: Standing, n_bytes: Mapping[str, int]) -> Iterable[Metric]:
    run = {"run": standing.url, "sweep": standing.sweep}
    yield from _of_steps(standing, run)
    yield from _of_run(standing, run, n_bytes)


def _of_steps(standing: Standing, run: Mapping[str, str]) -> Iterable[Metric]:
    """Yield what is told of each step, under the labels of the run and its own."""
    steps = [({**run, "step": step.step}, step) for step in standing.steps]
    yield Metric(
        "stitchpipe_units",
        "gauge",
        "Units of work of a sweep, by step and state.",
        [
            ("", {**labels, "state": state.replace(" ", "_")}, step.count(state))
            for labels, step in steps
            for state in STATES
        ],
    )
    timed = [
        (labels, [unit.outcome.seconds for unit in step.units if unit.state == "done" and unit.outcome])
        for labels, step in steps
    ]
    yield Metric(
        "stitchpipe_unit_seconds",
        "summary",
        "Seconds that units of work took that are done, by step.",
        [
            sample
            for labels, seconds in timed
            for sample in (("_sum", labels, sum(seconds)), ("_count", labels, len(seconds)))
        ],
    )
    yield Metric(
        "stitchpipe_unit_attempts",
        "gauge",
        "Times that units of work were tried since they last succeeded, by step.",
        [
            ("", labels, sum(unit.outcome.attempts for unit in step.units if unit.outcome))
            for labels, step in steps
        ],
    )
    yield Metric(
        "stitchpipe_remaining_seconds",
        "gauge",
        "About how long what is missing takes with those who work now, by step; absent where nothing tells.",
        [("", labels, step.left_s) for labels, step in steps if step.left_s is not None],
    )


def _of_run(standing: Standing, run: Mapping[str, str], n_bytes: Mapping[str, int]) -> Iterable[Metric]:
    """Yield what is told of the run as a whole, under its labels."""
    held = {"live": standing.count("under way"), "lost": len(standing.lost)}
    yield Metric(
        "stitchpipe_claims",
        "gauge",
        "Units of work that somebody claims, by whether there is life in the claimant.",
        [("", {**run, "state": state}, count) for state, count in held.items()],
    )
    yield Metric(
        "stitchpipe_workers", "gauge", "Processes that work on the run.", [("", run, standing.workers)]
    )
    yield Metric(
        "stitchpipe_run_bytes",
        "gauge",
        "Bytes of a run, by part.",
        [("", {**run, "part": part}, count) for part, count in n_bytes.items()],
    )
    yield Metric(
        "stitchpipe_last_outcome_timestamp_seconds",
        "gauge",
        "When a unit of work ended last.",
        [
            ("", run, outcome.begun_s + outcome.seconds)
            for outcome in sorted(
                (unit.outcome for unit in standing.units if unit.outcome),
                key=lambda outcome: outcome.begun_s + outcome.seconds,
            )[-1:]
        ],
    )
    yield Metric(
        "stitchpipe_scrape_timestamp_seconds", "gauge", "When this was found.", [("", run, standing.at_s)]
    )


def _escaped(text: str) -> str:
    """Return a label's value with what ends it escaped."""
    return re.sub(r'[\\"\n]', lambda found: _ESCAPED[found[0]], text)
