"""A run as notebooks show it: what it holds, and one matrix of it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from stitchpipe.asking.matrices import matrix
from stitchpipe.asking.measured import views_of
from stitchpipe.asking.stored_layers import stored_names
from stitchpipe.errors import ExplainedError
from stitchpipe.sizes import size_of

if TYPE_CHECKING:
    from stitchpipe.run.place import RunPlace
    from storage import Store

MOST_LAYERS = 80
"""Of a run with more, no matrix is drawn: its cells could not be told apart."""


def html_of_run(place: RunPlace, store: Store) -> str:
    """Return a run as HTML: its place, models, layers, bytes and measures, and the first measure of all layers.

    Notes
    -----
    Reads the records of the store, two columns of the results, and one measure of runs of at most `MOST_LAYERS` layers.
    """
    names = stored_names(store)
    n_bytes = sum(layer.n_bytes for layer in store.representations())
    measures = dict.fromkeys(name.partition("(")[0] for name in _measures(place))
    facts = {
        "run": place.url,
        "models": ", ".join(names.models),
        "layers": f"{len(names.known):,}",
        "activations": size_of(n_bytes),
        "measures": ", ".join(measures) or "none yet",
    }
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th><td style='text-align:left'>{escape(fact)}</td></tr>"
        for name, fact in facts.items()
    )
    return f"<table>{rows}</table>{_drawn(place, len(names.known))}"


def _measures(place: RunPlace) -> list[str]:
    """Return the measures of pairs of layers, those that a figure can show first."""
    try:
        known = views_of(place)
    except ExplainedError:  # there are no results yet
        return []
    return sorted(known, key=lambda name: (name.startswith(("stitch_", "ood_")), name != "cka", name))


def _drawn(place: RunPlace, n_layers: int) -> str:
    """Return the first measure as a heat map, under the first of its views; nothing of too many layers."""
    measures = _measures(place)
    if not measures or n_layers > MOST_LAYERS:
        return ""
    try:
        return matrix(place, measures[0], view=views_of(place)[measures[0]][0]).to_svg()
    except ExplainedError:  # several stitches of a pair, say: what it holds is told all the same
        return ""
