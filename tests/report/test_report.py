"""The page: complete in itself, deaf to hostile names, the same bytes for the same results."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from stitchpipe import registry
from stitchpipe.report import rendered
from stitchpipe.report.glossary import glossary
from stitchpipe.report.matrices import boundaries, comparison
from stitchpipe.report.payload import embedded, number, payload
from stitchpipe.report.provenance import sections
from stitchpipe.report.tables import LIMIT, cell, table_of
from stitchpipe.studies import StudyError, findings, stitches
from tests import synthetic_results as synthetic

ORDER = synthetic.ORDER
HOSTILE = "<img src=x onerror=alert(1)>"
SMALL = {"A": ("layer1.0", "layer2.0", "layer3.2"), "B": ("layer1.0", "layer2.0", "layer3.2")}


class Page(HTMLParser):
    """What a browser would make of the page: elements, references, scripts, visible text."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.scripts, self.words, self._inside = [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = tag if tag in {"script", "style"} else None
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self._inside is None:
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def data(self):
        return json.loads(next(text for attributes, text in self.scripts if attributes.get("id") == "data"))


def written(results, order, *, title="a run", provenance=synthetic.PROVENANCE):
    files = rendered(results, findings(results, order), layer_order=order, provenance=provenance, title=title)
    return files, Page(files["index.html"].decode())


def figures(files):
    """Return the images of a report by what they show."""
    return {Path(name).stem: image for name, image in files.items() if name.startswith("figures/")}


@pytest.fixture(scope="module")
def results():
    return synthetic.results(order=SMALL)


@pytest.fixture(scope="module")
def report(results):
    return written(results, SMALL)


def test_nothing_outside_the_page_is_referred_to(report):
    _, page = report
    for tag, attributes in page.elements:
        for name in ("src", "srcset", "href", "action", "poster", "data", "xlink:href"):
            reference = attributes.get(name) or ""
            assert reference.startswith("#") or reference in {"", "data:,"}, (tag, name, reference)
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
    style = re.search(r"<style>(.*?)</style>", report[0]["index.html"].decode(), re.DOTALL)
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_the_policy_allows_these_scripts_by_hash_and_no_source(report):
    _, page = report
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    assert rules["default-src"] == ["'none'"]
    run = [text for attributes, text in page.scripts if attributes.get("type") != "application/json"]
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in run]
    assert rules["script-src"] == hashes
    assert len(hashes) == 2
    assert not [
        source for sources in rules.values() for source in sources if "http" in source or "*" in source
    ]


def test_every_finding_stands_on_the_page_with_its_numbers(report, results):
    _, page = report
    text = " ".join(" ".join(page.words).split())
    for finding in findings(results, SMALL):
        assert finding.question in text
        assert finding.answer in text
        assert finding.claim in text
        for value in finding.table.iloc[0].dropna():
            assert cell(value).text in text


def test_the_page_holds_every_number_of_the_results(report, results):
    data = report[1].data
    axis = list(zip(data["axis"]["models"], data["axis"]["layers"], strict=True))
    assert axis == [(model, layer) for model, layers in SMALL.items() for layer in layers]
    held = {
        (matrix["view"], matrix["index"], *axis[i], *axis[j]): value
        for matrix in data["matrices"]
        for i, row in enumerate(matrix["values"])
        for j, value in enumerate(row)
    }
    compared = results[results["method"].isna()]
    assert len(held) == len(compared)
    for row in compared.to_dict("records"):
        pair = [row[name] for name in ("source_model", "source_layer", "target_model", "target_layer")]
        assert held[row["view"], row["index"], *pair] == pytest.approx(row["value"], rel=1e-6)
    stitched = results[results["index"] == "stitch_relative_accuracy"]
    drawn = [record["stitch_relative_accuracy"] for record in data["stitches"]["records"]]
    assert drawn == pytest.approx(stitched["value"].tolist(), rel=1e-6)


def test_the_page_is_accessible(report):
    _, page = report
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == 1
    plots = [a for a in page.all("div") if a.get("class") == "plot"]
    assert len(plots) == 6
    ids = {attributes.get("id") for _, attributes in page.elements}
    for plot in plots:
        assert plot["role"] == "img"
        assert plot.get("aria-label") or plot["aria-labelledby"] in ids
    for label in page.all("label"):
        assert label["for"] in ids
    for link in page.all("a"):
        assert link["href"].removeprefix("#") in ids
    assert len(page.all("caption")) == len(page.all("table")) > 8
    levels = [int(tag[1]) for tag, _ in page.elements if tag in {"h1", "h2", "h3"}]
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_the_figures_are_images_named_for_what_they_show(report):
    files, _ = report
    images = figures(files)
    assert {"cka-pooled", "dm_r2-positions", "direct-and-task-loss-matching", "late-to-early"} <= set(images)
    assert "cka-positions" not in images
    for image in images.values():
        assert image.startswith(b"\x89PNG")
        assert len(image) > 4000
    assert set(files) == {"index.html", *(f"figures/{name}.png" for name in images)}


def test_the_same_results_give_the_same_bytes(report, results):
    files, _ = written(results, SMALL)
    assert files == report[0]


def test_hostile_names_are_text_everywhere():
    order = {"</script><script>alert(2)</script>": (HOSTILE, "$x_{2}$"), "B": (HOSTILE, "$x_{2}$")}
    results = hostile(order)
    files, page = written(
        results,
        order,
        title=HOSTILE,
        provenance={HOSTILE: {HOSTILE: {HOSTILE: HOSTILE}}, "data": {"name": "{{ 7 * 7 }}"}},
    )
    assert not page.all("img")
    assert len(page.scripts) == 3
    assert page.data["axis"]["layers"][0] == HOSTILE
    text = "".join(page.words)
    assert HOSTILE in text
    assert "{{ 7 * 7 }}" in text
    assert HOSTILE not in files["index.html"].decode()
    assert len(figures(files)) > 5


def hostile(order):
    """Return the small run with its models and layers renamed."""
    plain = {"A": ("layer1.0", "layer3.2"), "B": ("layer1.0", "layer3.2")}
    results = synthetic.results(order=plain, views=("pooled",))
    models = dict(zip(plain, order, strict=True))
    layers = dict(zip(plain["A"], order["B"], strict=True))
    for side in ("source", "target"):
        results[f"{side}_model"] = results[f"{side}_model"].map(models)
        results[f"{side}_layer"] = results[f"{side}_layer"].map(layers)
    results["reason"] = results["reason"].where(results["reason"].isna(), HOSTILE)
    return results


def test_no_number_shows_its_reason():
    order = {"A": synthetic.LAYERS, "C": synthetic.LAYERS}
    compared = comparison(synthetic.results(order=order, views=("pooled",), stitches=False), order)
    matrix = next(one for one in compared.matrices if one.index == "cca")
    column = len(compared.axis) - 1
    assert np.isnan(matrix.values[:, column]).all()
    assert set(matrix.reasons) == {(i, column) for i in range(len(compared.axis))}
    assert matrix.reasons[0, column] == "constant: the target's features do not vary"
    page = payload(compared, stitches(synthetic.results(order=order).iloc[:0], order), order)
    values = next(one for one in page["matrices"] if one["index"] == "cca")
    assert values["values"][0][column] is None
    assert values["reasons"][f"0,{column}"].startswith("constant")


def test_views_carry_n_and_p(results):
    views = {view.name: view for view in comparison(results, SMALL).views}
    assert views["positions"].n_rows[:3] == (450 * 64, 450 * 16, 450 * 4)
    assert views["positions"].grids[:3] == ("8x8", "4x4", "2x2")
    assert views["pooled"].n_rows == (450,) * 6
    assert views["pooled"].widths[:3] == (16, 32, 64)
    assert views["pooled"].n_samples == 450


def test_matrices_follow_the_networks_not_the_file(results):
    shuffled = results.sample(frac=1.0, random_state=0)
    straight, mixed = comparison(results, SMALL), comparison(shuffled, SMALL)
    assert straight.axis == mixed.axis
    assert boundaries(straight.axis) == [3]
    for matrix in straight.matrices:
        other = next(m for m in mixed.matrices if (m.index, m.view) == (matrix.index, matrix.view))
        np.testing.assert_array_equal(matrix.values, other.values)


def test_a_run_without_stitches_and_a_run_without_anything():
    results = synthetic.results(order=SMALL, views=("pooled",), stitches=False)
    results = results[results["index"] == "cka"]
    _, page = written(results, SMALL)
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert "plot-matrix" in ids
    assert "plot-dm" not in ids
    files, page = written(results.iloc[:0], SMALL, provenance={})
    assert figures(files) == {}
    assert "There are no results yet" in " ".join(page.words)


@pytest.mark.parametrize("change", [{"method": "dm_ridge(0.1)"}, {"value": np.nan}])
def test_stitches_without_a_point_to_draw_are_reported(change):
    """Other families of maps alone, or a target network that is never right."""
    results = synthetic.results(order=SMALL, views=("pooled",))
    results = results[(results["index"] == "cka") | (results["method"] == "dm")]
    if "value" in change:
        results.loc[results["index"] == "stitch_relative_accuracy", "value"] = np.nan
    else:
        results.loc[results["method"].notna(), "method"] = change["method"]
    files, _ = written(results, SMALL)
    assert figures(files)


def test_an_unknown_layer_is_refused(results):
    with pytest.raises(StudyError, match=r"layer3\.2"):
        rendered(
            results,
            [],
            layer_order={"A": SMALL["A"][:2], "B": SMALL["B"]},
            provenance={},
            title="t",
        )


def test_embedded_json_cannot_end_its_element():
    text = embedded({"a": "</script><!--&\u2028\u2029"})
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == {"a": "</script><!--&\u2028\u2029"}
    with pytest.raises(ValueError, match="JSON"):
        embedded({"a": float("nan")})


@pytest.mark.parametrize(
    ("value", "kept"), [(None, None), (float("nan"), None), (2.0, 2), (1 / 3, 0.3333333), (1e-12, 1e-12)]
)
def test_numbers_keep_seven_digits(value, kept):
    assert number(value) == kept


@pytest.mark.parametrize(
    ("value", "text", "exact"),
    [
        (None, "–", ""),
        (float("nan"), "–", ""),
        (13797, "13\u202f797", ""),
        (1.0, "1.000", ""),
        (-0.80345, "−0.803", "-0.80345"),
        (3e-5, "3e−05", "3e-05"),
        ("a", "a", ""),
        (True, "True", ""),
    ],
)
def test_cells(value, text, exact):
    assert (cell(value).text, cell(value).exact) == (text, exact)


def test_long_tables_say_what_is_left_out(results):
    table = table_of(results)
    assert len(table.rows) == LIMIT
    assert table.left_out == len(results) - LIMIT


def test_provenance_of_any_shape():
    parts = {part.name: part for part in sections(synthetic.PROVENANCE | {"started_by": "a test"})}
    assert set(parts) == {"data", "models", "versions", "settings", "run"}
    assert [row[0].text for row in parts["models"].table.rows] == ["A", "B", "C"]
    assert parts["models"].wide
    assert not parts["settings"].wide
    assert parts["run"].table.rows[0][1].text == "a test"


def test_the_glossary_explains_every_index_of_the_registry():
    entries = {entry.code: entry for entry in glossary(registry.index_names())}
    for name in registry.index_names():
        assert entries[name].meaning
        assert entries[name].facts
    assert "cka" not in {entry.code for entry in glossary(["cca"])}
