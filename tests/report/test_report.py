"""The page: complete in itself, deaf to hostile names, the same bytes for the same results."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from stitchpipe import registry
from stitchpipe.report import Told, page_files, rendered, served
from stitchpipe.report.gathering import comparison
from stitchpipe.report.glossary import glossary
from stitchpipe.report.matrices import boundaries
from stitchpipe.report.payload import embedded, number
from stitchpipe.report.provenance import sections
from stitchpipe.report.tables import LIMIT, cell, table_of
from stitchpipe.studies import StudyError, findings, stitches
from tests import synthetic_results as synthetic
from tests.report import read_page
from tests.report.read_page import Page

HOSTILE = "<img src=x onerror=alert(1)>"
SMALL = {"A": ("layer1.0", "layer2.0", "layer3.2"), "B": ("layer1.0", "layer2.0", "layer3.2")}


def told(results, order, **more):
    """Return what a page is told of results in memory."""
    return Told(
        **{
            "title": "a run",
            "compared": comparison(results, order),
            "stitched": stitches(results, order),
            "answers": synthetic.answered(results, order),
            "layer_order": order,
            "provenance": synthetic.PROVENANCE,
            "chance": 0.1,
            **more,
        }
    )


def written(results, order, **more):
    """Return the page of results in memory: its files, and what a browser would make of it."""
    files = page_files(told(results, order, **more))
    return files, Page(files["index.html"].decode())


def figures(files):
    """Return the images of a report by what they show."""
    return {Path(name).stem: image for name, image in files.items() if name.startswith("figures/")}


@pytest.fixture(scope="module")
def results():
    return synthetic.results(order=SMALL)


@pytest.fixture(scope="module")
def report(results):
    """Return the whole report of a small run, pictures too."""
    files = rendered(told(results, SMALL))
    return files, Page(files["index.html"].decode())


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
    assert "connect-src" not in rules
    (style,) = re.findall(r"<style>(.*?)</style>", report[0]["index.html"].decode(), re.DOTALL)
    (script,) = page.run
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in (script, style)
    ]
    assert [rules["script-src"], rules["style-src"]] == [[hashes[0]], [hashes[1]]]
    assert not [
        source for sources in rules.values() for source in sources if "http" in source or "*" in source
    ]


def test_every_finding_stands_on_the_page_with_its_numbers(report, results):
    _, page = report
    text = " ".join(" ".join(page.words).split())
    for finding in findings(synthetic.answered(results, SMALL)):
        assert finding.question in text
        assert finding.falsifier in text
        assert finding.effects[0].what in text
        assert finding.answer in text
        assert finding.claim in text
        for value in finding.table.iloc[0].dropna():
            assert cell(value).text in text


def test_the_page_holds_every_number_of_the_results(report, results):
    """To the digits that are shown: half a unit of the last one."""
    page = report[1]
    about = page.about
    models, layers = about["axis"]["models"], about["axis"]["layers"]
    axis = [(models[k], layer) for k, layer in zip(about["axis"]["of"], layers, strict=True)]
    assert axis == [(model, layer) for model, layers in SMALL.items() for layer in layers]
    held, half = {}, {}
    for k, measure in enumerate(about["measures"]):
        half[measure["view"], measure["index"]] = 0.5 / measure["planes"]["value"]["divisor"]
        for (i, j), value in np.ndenumerate(read_page.values(page, k)):
            held[measure["view"], measure["index"], *axis[i], *axis[j]] = value
    compared = results[results["method"].isna()]
    assert len(held) == len(compared)
    for row in compared.to_dict("records"):
        pair = [row[name] for name in ("source_model", "source_layer", "target_model", "target_layer")]
        limit = half[row["view"], row["index"]] * (1 + 1e-9)
        assert limit <= 0.51e-4
        assert abs(held[row["view"], row["index"], *pair] - row["value"]) <= limit
    stitched = results[results["index"] == "stitch_relative_accuracy"]
    drawn = [record["stitch_relative_accuracy"] for record in about["stitches"]["records"]]
    assert drawn == pytest.approx(stitched["value"].tolist(), rel=1e-6)


def test_the_page_is_accessible(report):
    _, page = report
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == 1
    ids = {attributes.get("id") for _, attributes in page.elements}
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
    stitched = {"direct-and-task-loss-matching", "late-to-early", "out-of-distribution"}
    assert set(images) == {"cka-pooled", "cka_biased-positions", *stitched}  # one of each view
    for image in images.values():
        assert image.startswith(b"\x89PNG")
        assert len(image) > 4000
    assert set(files) == {"index.html", *(f"figures/{name}.png" for name in images)}


def test_the_same_results_give_the_same_bytes(report, results):
    assert rendered(told(results, SMALL)) == report[0]


def test_hostile_names_are_text_everywhere():
    order = {"</script><script>alert(2)</script>": (HOSTILE, "$x_{2}$"), "B": (HOSTILE, "$x_{2}$")}
    results = hostile(order)
    files, page = written(
        results,
        order,
        title=HOSTILE,
        failed=[{"unit": HOSTILE, "why": HOSTILE}],
        missing=[HOSTILE],
        provenance={HOSTILE: {HOSTILE: {HOSTILE: HOSTILE}}, "data": {"name": "{{ 7 * 7 }}"}},
    )
    assert not page.all("img")
    assert len(page.run) == 1
    assert page.about["axis"]["layers"][0] == HOSTILE
    text = "".join(page.words)
    assert HOSTILE in text
    assert "{{ 7 * 7 }}" in text
    assert HOSTILE not in files["index.html"].decode()
    assert figures(rendered(told(results, order, answers=[])))


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
    assert matrix.reason(0, column) == "constant: the target's features do not vary"
    assert matrix.reason(0, 0) is None
    _, page = written(synthetic.results(order=order, views=("pooled",), stitches=False), order)
    at = next(k for k, each in enumerate(page.about["measures"]) if each["index"] == "cca")
    assert np.isnan(read_page.values(page, at)[:, column]).all()
    assert read_page.reasons(page, at) == {
        (i, column): "constant: the target's features do not vary" for i in range(len(compared.axis))
    }


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
    assert "atlas" in ids
    # Empty sections are not there: three networks make an overview, and nothing failed.
    assert not {"stitching", "overview", "failed"} & ids
    _, page = written(results.iloc[:0], SMALL, provenance={})
    assert figures(rendered(told(results.iloc[:0], SMALL))) == {}
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert not {"atlas", "stitching", "findings", "provenance"} & ids


def test_what_failed_or_is_missing_stands_on_top(results):
    failed = [{"unit": "dump A test", "why": "the disk is full", "tried": "2 ×", "model": "A"}]
    files, page = written(results, SMALL, failed=failed, missing=["12 pairs"])
    text = files["index.html"].decode()
    assert text.index("the disk is full") < text.index('id="atlas"')
    assert "12 pairs of this sweep were not computed yet" in page.text
    assert page.text.count("the disk is full") == 1


@pytest.mark.parametrize("change", [{"method": "dm_ridge(0.1)"}, {"value": np.nan}])
def test_stitches_without_a_point_to_draw_are_reported(change):
    """Other families of maps alone, or a target network that is never right."""
    results = synthetic.results(order=SMALL, views=("pooled",))
    results = results[(results["index"] == "cka") | (results["method"] == "dm")]
    if "value" in change:
        results.loc[results["index"] == "stitch_relative_accuracy", "value"] = np.nan
    else:
        results.loc[results["method"].notna(), "method"] = change["method"]
    assert figures(rendered(told(results, SMALL)))


def test_an_unknown_layer_is_refused(results):
    with pytest.raises(StudyError, match=r"layer3\.2"):
        comparison(results, {"A": SMALL["A"][:2], "B": SMALL["B"]})


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


def test_a_page_too_large_for_its_values_leaves_them_beside_it(results):
    small, large = page_files(told(results, SMALL)), page_files(told(results, SMALL), limit_bytes=100)
    beside = {Path(name).stem: data for name, data in large.items() if name.startswith("values/")}
    assert not [name for name in small if name.startswith("values/")]
    before, after = Page(small["index.html"].decode()), Page(large["index.html"].decode())
    assert before.about["embedded"]
    assert not after.about["embedded"]
    assert not set(beside) & set(after.blocks)
    np.testing.assert_array_equal(
        read_page.values(after, 0, blocks={**beside, **after.blocks}), read_page.values(before, 0)
    )
    assert "stitchpipe serve" in after.text


def test_a_server_lets_the_page_fetch_from_it_and_from_nowhere_else(report):
    plain = report[0]["index.html"]
    before, after = (
        next(
            attributes["content"]
            for attributes in Page(page.decode()).all("meta")
            if attributes.get("http-equiv") == "Content-Security-Policy"
        )
        for page in (plain, served(plain))
    )
    assert after == before.replace("default-src 'none'; ", "default-src 'none'; connect-src 'self'; ")
    assert after != before
