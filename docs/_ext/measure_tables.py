"""What the registry knows of every measure, as Markdown."""

from __future__ import annotations

from math import isfinite, pi
from typing import TYPE_CHECKING

from stitchpipe import registry
from stitchpipe.algebra import INDICES
from stitchpipe.measures import TRANSFORMATIONS
from stitchpipe.stitching.objectives import OBJECTIVES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stitchpipe.measures import Measure, Transformation

BASES = {
    "moments": "means and covariances of any number of rows",
    "samples": "kernels, neighbours or distances of at most 2,000 images",
    "minibatches": "minibatches of rows",
    "logits": "the logits of two networks",
    "images": "rows of all images, one for each",
    "labelled_images": "rows of all images with their classes, and those of the training images",
    "stitched_logits": "the logits of the stitched network beside those of its target",
    "stitched_rows": "the stitched representation beside the target layer's own",
}
INTERVALS = {
    "population": "95 %, for what ever more images would tend to",
    "sample": "95 %, for the mean of what this many images give",
    None: "none",
}


def indices() -> str:
    """Describe every index of similarity."""
    return _sections(registry.index_measure(name) for name in INDICES)


def layers() -> str:
    """Describe every measure of one layer by itself."""
    return _sections(registry.of_layers())


def fidelity() -> str:
    """Describe what every stitched network is judged by."""
    return _sections(measure for measure in registry.OF_STITCHES.values() if measure.kind == "fidelity")


def out_of_distribution() -> str:
    """Describe every score of how far a stitched representation is from its target's own."""
    return _sections(measure for measure in registry.OF_STITCHES.values() if measure.kind == "ood")


def objectives() -> str:
    """Describe what a stitching layer can be trained for."""
    lines = [
        "| name | label | what it asks | asks for the task's answers | source |",
        "|---|---|---|---|---|",
    ]
    for entry in OBJECTIVES.own.values():
        asks = "yes" if entry.is_task_loss else "no"
        lines.append(f"| `{entry.name}` | {entry.label} | {entry.meaning} | {asks} | {entry.literature} |")
    return "\n".join(lines)


def _sections(measures: Iterable[Measure]) -> str:
    return "\n".join(line for measure in measures for line in _section(measure))


def _section(measure: Measure) -> Iterator[str]:
    yield from (f"### {measure.title}", "", f"`{measure.name}`. {measure.meaning}", "")
    for word, fact in _facts(measure):
        if fact:
            yield f"- *{word}:* {fact}"
    yield ""


def _facts(measure: Measure) -> Iterator[tuple[str, str]]:
    low, high = map(_bound, measure.range)
    direction = {True: "larger is more similar", False: "smaller is more similar", None: ""}
    yield "Range", ", ".join(filter(None, (f"{low} to {high}", direction[measure.larger_is_more_similar])))
    if measure.kind == "index":
        yield "Direction", "symmetric" if measure.symmetric else "from source to target"
        yield "Metric", "yes, with the triangle inequality" if measure.metric else ""
        yield "Source may undergo", _transformations(measure.source_invariances)
        yield "Target may undergo", _transformations(measure.target_invariances)
    if chosen := measure.parameter:
        yield "Parameter", f"{chosen.symbol}: {chosen.meaning}; {chosen.allowed}; {chosen.value:g} by default"
    yield "Computed from", BASES[measure.computed_from]
    yield "Rows", "must be independent: not under the view `positions`" if measure.independent_rows else ""
    yield (
        "Held out",
        f"scores a map of the family `{measure.family}`, fitted on other rows" if measure.family else "",
    )
    yield "Same as", f"`{measure.equals}`" if measure.equals else ""
    if measure.kind == "index":
        yield "Null", "the same images in random order" if measure.null else "none"
        yield "Interval", INTERVALS[measure.interval]
    yield "Cost", measure.cost
    yield "Source", measure.literature


def _transformations(known: frozenset[Transformation]) -> str:
    return ", ".join(name for name in TRANSFORMATIONS if name in known) or "nothing"


def _bound(value: float) -> str:
    if not isfinite(value):
        return "−∞" if value < 0 else "∞"
    return "π/2" if value == pi / 2 else f"{value:g}".replace("-", "−")
