"""From what a run has to tell to the files of its page."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from stitchpipe.report import planes
from stitchpipe.report.depth import along_depth
from stitchpipe.report.examples import shown_examples
from stitchpipe.report.figures import as_png, figures
from stitchpipe.report.glossary import glossary
from stitchpipe.report.payload import EMBEDDED_BYTES, embedded, payload
from stitchpipe.report.provenance import sections
from stitchpipe.report.serving import OFFLINE, PAGE, SERVED_NAME
from stitchpipe.report.studied import studied, unanswered
from stitchpipe.report.tables import table_of
from stitchpipe.studies.stitches import STITCH, LayerOrder, measures_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stitchpipe.report.examples import Examples
    from stitchpipe.report.matrices import Comparison
    from stitchpipe.report.payload import Payload
    from stitchpipe.studies import Answer


@dataclass(frozen=True, kw_only=True, eq=False)
class Told:
    """What a page has to tell of a run.

    Attributes
    ----------
    title
        The run's name.
    compared
        Every index and view as a matrix.
    stitched
        One row per stitch, as `stitchpipe.studies.stitches.stitches` gives them.
    answers
        Of the studies, as `stitchpipe.studies.answers` gives them.
    layer_order
        Every model's layers, from input to output: the order of the axes.
    provenance
        What the run was made of, by subject: nested mappings of plain values, shown as they are.
    failed
        What of the run failed and was left out, a row each: nested in nothing, shown as it is.
    missing
        What the sweep asks for and is not there, in words.
    chance
        Accuracy of answering the commonest class whatever the image; None without labels.
    curves
        Losses of trainings, by the key of their stitch.
    layers
        Numbers that layers have by themselves: rows of the table ``layers`` of a run.
    examples
        A few images, and which of them layers have near each other; None where they are not at hand.
    """

    title: str
    compared: Comparison
    stitched: pd.DataFrame
    answers: Sequence[Answer]
    layer_order: LayerOrder
    provenance: Mapping[str, Any]
    failed: Sequence[Mapping[str, str]] = ()
    missing: Sequence[str] = ()
    chance: float | None = None
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    layers: Sequence[Mapping[str, Any]] = ()
    examples: Examples | None = None


def rendered(told: Told, *, limit_bytes: int = EMBEDDED_BYTES) -> dict[str, bytes]:
    """Return the report's files by name: those of `page_files`, and ``figures/*.png``.

    Notes
    -----
    The same arguments give the same bytes. Time O(numbers), and about 0.3 s for each figure.
    """
    drawn = figures(told.compared, told.stitched, told.layer_order)
    pictures = {f"figures/{name}.png": as_png(draw) for name, draw in drawn.items()}
    return {**page_files(told, limit_bytes=limit_bytes), **pictures}


def page_files(told: Told, *, limit_bytes: int = EMBEDDED_BYTES) -> dict[str, bytes]:
    """Return the page by its name, ``index.html``, and ``values/*.bin`` beside it where the run is large.

    Parameters
    ----------
    limit_bytes
        Up to how much of the values stands in the page. A page of more holds coarse maps, and the values of single
        pairs lie beside it, for `stitchpipe serve`.

    Returns
    -------
    dict
        The page needs no network and, up to `limit_bytes`, no other file.

    Notes
    -----
    A page is some 120 kB, and one to three bytes for each number and its limits.
    """
    values = payload(
        told.compared, told.stitched, told.layer_order, curves=told.curves, limit_bytes=limit_bytes
    )
    beside = {SERVED_NAME.format(name): data for name, data in values.to_serve.items()}
    return {PAGE: _page(told, values).encode(), **beside}


def _page(told: Told, values: Payload) -> str:
    """Return the page: every value autoescaped; only our own script and style and escaped JSON stand as they are."""
    environment = Environment(
        loader=PackageLoader("stitchpipe.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script, style = _built("page.js"), _built("page.css")
    charts = along_depth(told.layers, told.layer_order)
    shown = {"layers": charts, "examples": shown_examples(told.examples, told.compared.axis)}
    about = {**values.about, **shown, "title": told.title, "chance": told.chance, "codes": _codes()}
    return environment.get_template("page.html").render(
        title=told.title,
        policy=_policy(script, style),
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file, with the libraries that its lock names
        data=Markup(embedded(about)),  # noqa: S704 - escaped there
        values_inside=values.is_embedded,
        blocks={name: planes.embedded(data) for name, data in values.in_page.items()},
        studies=studied(told.answers),
        unanswered=unanswered(told.answers),
        facts=_facts(told),
        told=told,
        has_stitches=len(told.stitched) > 0,
        has_layers=len(charts) > 0,
        has_models=len({layer.model for layer in told.compared.axis}) > 2,
        failed=table_of(pd.DataFrame(list(told.failed))) if told.failed else None,
        provenance=sections(told.provenance),
        glossary=glossary(_explained(told)),
    )


def _codes() -> dict[str, int]:
    """Return the codes that are no numbers, and how blocks are cut."""
    return {
        "block": planes.BLOCK,
        "firstReason": planes.FIRST_REASON,
        "beyond": planes.BEYOND,
        "nothing": planes.NOTHING,
        "noLimit": planes.NO_LIMIT,
    }


def _explained(told: Told) -> list[str]:
    """Return the measures and objectives of the page that the glossary explains."""
    measures = [
        name
        for name in measures_of(told.stitched)
        if told.stitched[[name, f"{name}_note"]].notna().any(axis=None)
    ]
    objectives = told.stitched["objective"].dropna().unique().tolist()
    of_layers = dict.fromkeys(row["measure"] for row in told.layers)
    return [*(matrix.index for matrix in told.compared.matrices), *measures, *of_layers, *objectives]


def _facts(told: Told) -> list[tuple[str, str]]:
    """Return what the run is, in a few numbers."""
    compared, stitched, layer_order = told.compared, told.stitched, told.layer_order
    numbers = sum(int((matrix.values == matrix.values).sum()) for matrix in compared.matrices)
    samples = [view.n_samples for view in compared.views] + stitched["n_samples"].tolist()
    methods = stitched.drop_duplicates(STITCH)["method"].value_counts()
    facts = [
        (len(layer_order), "network", "networks"),
        (sum(len(layers) for layers in layer_order.values()), "layer", "layers"),
        (max(samples, default=0), "image", "images"),
        (numbers, "similarity", "similarities"),
        (int(methods.get("dm", 0)), "stitch by direct matching", "stitches by direct matching"),
        (int(methods.get("tlm", 0)), "by task loss", "by task loss"),
    ]
    return [
        (f"{count:,}".replace(",", "\u202f"), one if count == 1 else many)
        for count, one, many in facts
        if count
    ]


def _policy(script: str, style: str) -> str:
    """Return the content security policy: this script and style by their hashes, no source outside the page.

    Images are data: and blob: because a figure that is saved as PNG is painted from them.
    """
    return (
        f"{OFFLINE}script-src {_hash(script)}; style-src {_hash(style)}; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _built(name: str) -> str:
    return resources.files("stitchpipe.report").joinpath("page", "built", name).read_text("utf-8")
