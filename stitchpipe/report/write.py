"""From results to the files of a report: the page, and the figures beside it."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from stitchpipe.report.figures import FLOOR, as_png, figures
from stitchpipe.report.glossary import glossary
from stitchpipe.report.matrices import comparison
from stitchpipe.report.payload import embedded, payload
from stitchpipe.report.provenance import sections
from stitchpipe.report.tables import table_of
from stitchpipe.studies.stitches import STITCH, LayerOrder, measures_of, stitches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stitchpipe.report.matrices import Comparison
    from stitchpipe.studies.finding import Finding


def rendered(
    results: pd.DataFrame,
    findings: Sequence[Finding],
    *,
    layer_order: LayerOrder,
    provenance: Mapping[str, Any],
    title: str,
    failed: Sequence[Mapping[str, str]] = (),
) -> dict[str, bytes]:
    """Return the report's files by name: ``index.html`` and ``figures/*.png``.

    Parameters
    ----------
    results
        The catalogue's long form, of one run.
    findings
        As `stitchpipe.studies.findings` gives them; shown first.
    layer_order
        Every model's layers, from input to output: the order of the axes.
    provenance
        What the run was made of, by subject: nested mappings of plain values, shown as they are.
    title
        The run's name.
    failed
        What of the run failed and was left out, a row each: nested in nothing, shown as it is.

    Returns
    -------
    dict
        The page needs nothing beside it: no network, no other file.

    Raises
    ------
    stitchpipe.studies.StudyError
        Two numbers for the same thing, or a layer missing from `layer_order`.

    Notes
    -----
    The same arguments give the same bytes. The page is 4.8 MB of plotting library and about 10 bytes per number;
    O(rows) time, and about 0.3 s per figure.
    """
    compared, stitched = comparison(results, layer_order), stitches(results, layer_order)
    page = _page(compared, stitched, findings, layer_order, provenance, title, failed)
    drawn = figures(compared, stitched, layer_order)
    return {
        "index.html": page.encode(),
        **{f"figures/{name}.png": as_png(draw) for name, draw in drawn.items()},
    }


def _unmeasured(stitched: pd.DataFrame) -> list[str]:
    """Return the columns of measures that no stitch of the run has."""
    pairs = ((measure, f"{measure}_note") for measure in measures_of(stitched))
    return [name for pair in pairs if stitched[list(pair)].isna().all(axis=None) for name in pair]


def _page(
    compared: Comparison,
    stitched: pd.DataFrame,
    findings: Sequence[Finding],
    layer_order: LayerOrder,
    provenance: Mapping[str, Any],
    title: str,
    failed: Sequence[Mapping[str, str]],
) -> str:
    """Return the page: every value autoescaped; only our own script, the library and escaped JSON stand as they are."""
    environment = Environment(
        loader=PackageLoader("stitchpipe.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    library, script = get_plotlyjs(), _shipped("page.js")
    shown = [
        {"finding": finding, "table": table_of(finding.table), "detail": table_of(finding.detail)}
        for finding in findings
    ]
    return environment.get_template("page.html").render(
        title=title,
        policy=_policy(library, script),
        style=Markup(_shipped("page.css")),  # noqa: S704 - our own file
        library=Markup(library),  # noqa: S704 - the plotting library, pinned by hash in the lock
        script=Markup(script),  # noqa: S704 - our own file
        data=Markup(embedded({**payload(compared, stitched, layer_order), "floor": FLOOR})),  # noqa: S704
        findings=shown,
        facts=_facts(compared, stitched, layer_order),
        compared=compared,
        stitches=table_of(
            stitched.drop(
                columns=["lateness", "source_depth", "target_depth", "n_samples", *_unmeasured(stitched)]
            )
        ),
        failed=table_of(pd.DataFrame(list(failed))) if failed else None,
        has_stitches=len(stitched) > 0,
        provenance=sections(provenance),
        glossary=glossary(_explained(compared, stitched)),
    )


def _explained(compared: Comparison, stitched: pd.DataFrame) -> list[str]:
    """Return the measures and objectives of the page that the glossary explains."""
    unmeasured = _unmeasured(stitched)
    measures = [name for name in measures_of(stitched) if name not in unmeasured]
    objectives = stitched["objective"].dropna().unique().tolist()
    return [*(matrix.index for matrix in compared.matrices), *measures, *objectives]


def _facts(compared: Comparison, stitched: pd.DataFrame, layer_order: LayerOrder) -> list[tuple[str, str]]:
    """Return what the run is, in a few numbers."""
    numbers = sum(int((matrix.values == matrix.values).sum()) for matrix in compared.matrices)
    samples = [view.n_samples for view in compared.views] + stitched["n_samples"].tolist()
    methods = stitched.drop_duplicates(STITCH)["method"].value_counts()
    facts = [
        (len(layer_order), "networks"),
        (sum(len(layers) for layers in layer_order.values()), "layers"),
        (max(samples, default=0), "images scored"),
        (numbers, "similarities"),
        (int(methods.get("dm", 0)), "stitches by direct matching"),
        (int(methods.get("tlm", 0)), "stitches by task loss matching"),
    ]
    return [(f"{count:,}".replace(",", "\u202f"), name) for count, name in facts if count]


def _policy(*scripts: str) -> str:
    """Return the content security policy: these scripts by hash, no source outside the page.

    Styles stay inline because the plotting library sets them on its elements; data: and blob: images are its canvas.
    """
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _shipped(name: str) -> str:
    return resources.files("stitchpipe.report").joinpath("templates", name).read_text("utf-8")
