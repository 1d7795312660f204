"""The page in a real browser: its numbers are the results', its address is its state, and nobody is kept out."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stitchpipe.report import Examples, Told, comparison, page_files
from stitchpipe.studies import stitches
from tests import synthetic_results as synthetic
from tests.report.browser import Opened

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)>"
LAYERS = ("layer1.0", "layer2.0", "layer2.1", "layer3.2")
MODELS = ("A", "B", "C")


@pytest.fixture(scope="module")
def results():
    frame = synthetic.results(order=dict.fromkeys(MODELS, LAYERS))
    frame = frame[~frame["index"].isin(("cca_sq", "svcca", "pwcca", "cka_biased", "dm_r2"))]
    there = frame["method"].isna() & (frame["index"] == "cka")
    spread = np.random.default_rng(0).random(int(there.sum())) / 20
    frame.loc[there, "low"], frame.loc[there, "high"] = (
        frame.loc[there, "value"] + k * spread for k in (-1, 1)
    )
    frame.loc[there, "p_family"] = 1 / 200
    frame.loc[there, "effect_size"] = 100 * frame.loc[there, "value"]
    return frame


def numbers_of_layers(layers):
    """Return a measure with a standard error and one without, of which one layer has no number."""
    rows = []
    for model in MODELS:
        for depth, layer in enumerate(layers):
            of = {"model": model, "layer": layer, "view": "pooled", "status": "ok", "reason": None}
            probe = 0.5 + depth / 10 + MODELS.index(model) / 50
            ratio = None if (model, depth) == ("C", 2) else 12.5 * (1 + depth)
            why = {} if ratio is not None else {"status": "constant", "reason": "no feature varies"}
            rows.append({**of, "measure": "linear_probe", "value": probe, "standard_error": 0.02})
            rows.append(
                {**of, "measure": "participation_ratio", "value": ratio, "standard_error": None, **why}
            )
    return rows


def examples(layers):
    """Return ten grey pictures; the layers of A agree with each other on what is near, those of B on something else."""
    pictures = []
    for grey in range(10):
        data = io.BytesIO()
        Image.new("L", (8, 8), 25 * grey).save(data, "PNG")
        pictures.append(data.getvalue())
    near = {"A": [[3, 4], [5, 6]], "B": [[4, 7], [8, 9]]}
    nearest = {(model, layer): places for model, places in near.items() for layer in layers}
    return Examples(pictures=pictures, names=[f"digit, {k}" for k in range(10)], asked=2, nearest=nearest)


@pytest.fixture(scope="module")
def pages(tmp_path_factory, results):
    """Write the pages of these tests, each alone in its folder, by name."""
    folder = tmp_path_factory.mktemp("pages")
    hostile = results.replace({"source_layer": {"layer1.0": HOSTILE}, "target_layer": {"layer1.0": HOSTILE}})
    urls = {}
    for name, frame, layers in (("plain", results, LAYERS), ("hostile", hostile, (HOSTILE, *LAYERS[1:]))):
        order = dict.fromkeys(MODELS, layers)
        told = Told(
            title=HOSTILE if name == "hostile" else "a run",
            compared=comparison(frame, order),
            stitched=stitches(frame, order),
            answers=synthetic.answered(frame, order),
            layer_order=order,
            provenance=synthetic.PROVENANCE,
            failed=[{"unit": "train X", "why": "no such file"}],
            chance=0.1,
            curves={},
            layers=numbers_of_layers(layers),
            examples=examples(layers) if name == "plain" else None,
        )
        path = folder / name / "report" / "index.html"
        path.parent.mkdir(parents=True)
        path.write_bytes(page_files(told)["index.html"])
        urls[name] = path.as_uri()
    return urls


def numbers(results, index, view, source, target):
    """Return the values of the results from one model to another, by the layers' names."""
    rows = results[(results["index"] == index) & (results["view"] == view) & results["method"].isna()]
    rows = rows[(rows["source_model"] == source) & (rows["target_model"] == target)]
    return {(r.source_layer, r.target_layer): r.value for r in rows.itertuples()}


def point_at(page, row, column):
    """Move the mouse over a cell of the map of four layers by four."""
    box = page.locator("#map .cells").bounding_box()
    page.mouse.move(
        box["x"] + (column + 0.5) * box["width"] / len(LAYERS),
        box["y"] + (row + 0.5) * box["height"] / len(LAYERS),
    )


def test_the_number_under_the_cursor_is_the_one_of_the_results(opened, pages, results):
    page = opened.at(pages["plain"])
    for index, view in (("cka", "pooled"), ("dm_struct", "positions"), ("procrustes_angle", "pooled")):
        if page.locator("#choose-measure").input_value() != f"{index}@{view}":
            with opened.drawing():
                page.select_option("#choose-measure", f"{index}@{view}")
        wanted = numbers(results, index, view, "A", "B")
        for row, column in ((0, 0), (1, 3), (3, 2)):
            point_at(page, row, column)
            assert opened.said("#map .tip b, #map + .tip b") == f"A/{LAYERS[row]} → B/{LAYERS[column]}"
            shown = page.locator("#map .tip strong").inner_text()
            assert shown == f"{wanted[LAYERS[row], LAYERS[column]]:.{len(shown.partition('.')[2])}f}"
            assert len(shown.partition(".")[2]) == 4


def test_the_table_names_the_nearest_layers(opened, pages, results):
    page = opened.at(pages["plain"])
    wanted = numbers(results, "cka", "pooled", "A", "B")
    for layer, line in zip(LAYERS, page.locator("#nearest tbody tr").all(), strict=True):
        ranked = sorted(LAYERS, key=lambda other: -wanted[layer, other])
        cells = [*line.locator("th").all_inner_texts(), *line.locator("td").all_inner_texts()]
        assert cells[:3] == [layer, ranked[0], f"{wanted[layer, ranked[0]]:.4f}"]
        effect = f"{100 * wanted[layer, ranked[0]]:.1f}"
        assert cells[4:] == [effect, "0.0050", ranked[1], f"{wanted[layer, ranked[1]]:.4f}"]
        (row,) = results.query(
            "index == 'cka' and view == 'pooled' and source_model == 'A' and target_model == 'B' and "
            "source_layer == @layer and target_layer == @ranked[0]"
        ).itertuples()
        low, high = (float(limit) for limit in cells[3].split(" – "))
        assert row.low - 0.003 <= low <= row.low
        assert row.high <= high <= row.high + 0.003


def test_the_address_holds_what_is_looked_at(opened, pages):
    page = opened.at(pages["plain"])
    with opened.drawing():
        page.select_option("#choose-a", "B")
    with opened.drawing():
        page.select_option("#choose-measure", "cca@positions")
    with opened.drawing():
        page.select_option("#choose-beside", "cka@pooled")
    with opened.drawing():
        page.fill("#choose-find", "layer2")
    with opened.drawing():
        page.locator("#nearest tbody button").first.click()

    def shown():
        return {
            **{
                name: page.locator(f"#choose-{name}").input_value()
                for name in ("a", "b", "measure", "beside", "find")
            },
            "pair": opened.said("#pair h3"),
            "table": opened.said("#nearest"),
        }

    before = shown()
    assert before["pair"].startswith("B/layer2")
    page.reload()
    opened.drawn()
    page.wait_for_selector("#pair h3")
    assert shown() == before
    with opened.drawing():
        page.go_back()
    assert page.locator("#pair").is_hidden()


def test_each_export_opens(opened, pages, results, tmp_path):
    page = opened.at(pages["plain"])
    wanted = numbers(results, "cka", "pooled", "A", "B")

    def saved(button):
        with page.expect_download() as download:
            page.locator("#files").get_by_role("button", name=button).click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        return path

    with Image.open(saved("PNG")) as image:
        colours = image.convert("RGB").getcolors(maxcolors=10**6)
        assert image.width > 900
    assert len([count for count, _ in colours if count > 1000]) > 8
    drawing = saved("SVG")
    as_image = opened.page.context.new_page()
    as_image.goto(drawing.as_uri())
    assert "layer3.2" in as_image.locator("svg").text_content()
    assert as_image.locator("image").count() == 1
    as_image.close()
    rows = list(csv.DictReader(io.StringIO(saved("CSV").read_text("utf-8"))))
    assert len(rows) == len(LAYERS) ** 2
    for row in rows:
        assert float(row["value"]) == pytest.approx(
            wanted[row["source_layer"], row["target_layer"]], abs=0.51e-4
        )
    page.locator("#files").get_by_role("button", name="Copy as Python").click()
    said = page.locator("#said").inner_text()
    assert f'sp.open("{Path(pages["plain"].removeprefix("file://")).parent.parent}")' in said
    assert 'run.matrix("cka", "A", "B", view="pooled")' in said


def test_the_keyboard_reaches_everything(opened, pages, results):
    page = opened.at(pages["plain"])
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.parentElement.id"))
    for control in ("a", "b", "measure", "beside", "order", "find", "from", "span"):
        assert f"choose-{control}" in reached
    assert {"swap", "map", "models-map"} <= reached
    page.locator("#map .map").focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    wanted = numbers(results, "cka", "pooled", "A", "B")
    assert page.locator("#map .tip strong").inner_text() == f"{wanted['layer2.0', 'layer2.1']:.4f}"
    assert "A/layer2.0 → B/layer2.1" in page.locator("#live").inner_text()
    with opened.drawing():
        page.keyboard.press("Enter")
    assert opened.said("#pair h3") == "A/layer2.0 → B/layer2.1"
    page.keyboard.press("Tab")
    with opened.drawing():
        page.keyboard.press("Escape")
    assert page.locator("#pair").is_hidden()


def test_the_scatter_is_walked_point_by_point(opened, pages, results):
    page = opened.at(pages["plain"], "#over=ood_mahalanobis")
    page.wait_for_function("() => document.body.dataset.settled > 0")
    scatter = page.locator("#scatter svg")
    scatter.focus()
    page.keyboard.press("ArrowDown")
    made = results[results["method"].notna()]
    accuracy = sorted(made.loc[made["index"] == "stitch_relative_accuracy", "value"])
    seen = []
    for _ in accuracy:
        seen.append(opened.said("#scatter .tip"))
        assert page.locator("#live").inner_text().startswith(seen[-1].split(" DM")[0].split(" TLM")[0])
        page.keyboard.press("ArrowRight")
    told = [float(text.split("relative accuracy ")[1].split()[0]) for text in seen]
    assert told == pytest.approx(accuracy, abs=0.51e-3)
    assert page.locator("#scatter .cross circle").get_attribute("visibility") == "visible"
    assert scatter.evaluate("each => getComputedStyle(each).outlineStyle") == "solid"
    page.keyboard.press("Home")
    first = opened.said("#scatter .tip b")
    assert seen[0].startswith(first)
    with opened.drawing():
        page.keyboard.press("Enter")
    assert opened.said("#pair h3") == first


def test_numbers_of_layers_lie_along_the_depth(opened, pages, tmp_path):
    page = opened.at(pages["plain"])
    page.wait_for_function("() => document.body.dataset.settled > 0")
    captions = page.locator("#depth figcaption").all_inner_texts()
    assert captions == ["Linear probe, accuracy, C = 1 · pooled", "Participation ratio · pooled"]
    assert page.locator("#depth-key").inner_text().split() == list(MODELS)
    chart = page.locator("#depth figure").nth(0)
    chart.locator("svg").focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    assert chart.locator(".tip b").inner_text() == "C/layer3.2"
    assert chart.locator(".tip span").all_inner_texts() == [
        "Linear probe, accuracy, C = 1 0.84",
        "standard error 0.02",
    ]
    curve = page.locator("#depth figure").nth(1).locator(".curve.network-2")
    assert curve.get_attribute("d").count("M") == 2  # a gap where a layer has no number
    assert "1 layer has no number, the first is C/layer2.1: no feature varies" in opened.said("#depth")
    with page.expect_download() as download:
        page.locator("#depth-files").get_by_role("button", name="CSV").click()
    download.value.save_as(tmp_path / "layers.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "layers.csv").read_text("utf-8"))))
    assert len(rows) == 2 * len(MODELS) * len(LAYERS)
    assert [row["value"] for row in rows if row["measure"] == "participation_ratio"][-2:] == ["", "50"]
    with page.expect_download() as download:
        page.locator("#depth-files").get_by_role("button", name="PNG").click()
    download.value.save_as(tmp_path / "layers.png")
    with Image.open(tmp_path / "layers.png") as image:
        assert image.width > 1200
        assert len(image.convert("RGB").getcolors(maxcolors=10**6)) > 20


def test_a_pair_shows_all_its_measures_and_stitches(opened, pages, results):
    page = opened.at(pages["plain"])
    with opened.drawing():
        page.select_option("#choose-b", "A")
    with opened.drawing():
        page.locator("#map .map").focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
    # Three tables: measures, stitches, examples.
    measures, made, _ = page.locator("#pair table").all()
    compared = results[results["method"].isna()].drop_duplicates(["index", "view"])
    assert measures.locator("tbody tr:not(.group)").count() == len(compared)
    assert made.locator("tbody tr").count() >= 2
    text = opened.said("#pair")
    assert "chance 10.0 %" in text
    assert "its own 98.0 %" in text


def test_a_pair_shows_images_and_those_nearest_to_them(opened, pages):
    page = opened.at(pages["plain"], "#a=A&b=B&cell=0.4")
    page.wait_for_selector("#pair .examples")
    lines = [
        [
            image.get_attribute("alt") + ("!" if image.get_attribute("class") == "both" else "")
            for image in line.locator("img").all()
        ]
        for line in page.locator("#pair .examples tbody tr").all()
    ]
    assert lines == [
        ["digit, 0", "digit, 3", "digit, 4!", "digit, 4!", "digit, 7"],
        ["digit, 1", "digit, 5", "digit, 6", "digit, 8", "digit, 9"],
    ]
    assert all(page.locator("#pair .examples img").evaluate_all("all => all.map((one) => one.naturalWidth)"))
    assert "among 10 test images, whose pictures take 1 kB of this page" in opened.said("#pair")
    with opened.drawing():
        page.evaluate("location.hash = '#a=A&b=C&cell=0.8'")
    assert page.locator("#pair .examples").count() == 0  # the layers of C have none


def test_searches_clusters_thresholds_and_differences(opened, pages, results):
    page = opened.at(pages["plain"])
    with opened.drawing():
        page.fill("#choose-find", "layer2")
    assert page.locator("#nearest tbody tr").count() == 2
    with opened.drawing():
        page.fill("#choose-find", "")
    with opened.drawing():
        page.select_option("#choose-order", "cluster")
    assert sorted(page.locator("#nearest tbody th").all_inner_texts()) == sorted(LAYERS)
    with opened.drawing():
        page.locator("#choose-from").fill("80")
    wanted = numbers(results, "cka", "pooled", "A", "B")
    passing = sum(round(value, 4) >= 0.8 for value in wanted.values())
    assert opened.said("#passing") == f"{passing} of 16 pairs are at least 0.80"
    with opened.drawing():
        page.select_option("#choose-beside", "procrustes@pooled")
    assert page.locator("#map-third canvas").is_visible()
    assert opened.said("#third-title") == "Difference of ranks"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_that_keeps_people_out(opened, pages, scheme):
    from axe_playwright_python.sync_playwright import Axe

    opened.page.emulate_media(color_scheme=scheme)
    page = opened.at(pages["plain"], "#a=A&b=A&cell=0.1&beside=cca@pooled")
    page.evaluate("document.querySelector('#failed details').open = true")
    found = Axe().run(page).response["violations"]
    grave = [each for each in found if each["impact"] in ("serious", "critical")]
    assert [(each["id"], [node["target"] for node in each["nodes"]][:3]) for each in grave] == []


def test_hostile_names_stay_text(opened, pages):
    page = opened.at(pages["hostile"])
    assert page.locator("img").count() == 0
    assert page.locator("h1").inner_text() == HOSTILE
    point_at(page, 0, 0)
    assert opened.said("#map .tip b") == f"A/{HOSTILE} → B/{HOSTILE}"
    with opened.drawing():
        page.locator("#nearest tbody button").first.click()
    assert page.locator("img").count() == 0
    assert HOSTILE in page.locator("#pair h3").inner_text()


def test_a_policy_that_forbids_the_script_would_be_noticed(context, pages, tmp_path):
    broken = tmp_path / "broken.html"
    text = Path(pages["plain"].removeprefix("file://")).read_text("utf-8")
    head, tail = text.rsplit("<script>", 1)
    broken.write_text(f"{head}<script> {tail}", "utf-8")
    opened = Opened.of(context)
    opened.page.goto(broken.as_uri())
    assert opened.page.evaluate("document.body.dataset.drawn") is None
    assert any("Content Security Policy" in line for line in opened.complaints)
    opened.page.close()


def test_a_phone_shows_all_of_it(opened, pages):
    opened.page.set_viewport_size({"width": 390, "height": 800})
    page = opened.at(pages["plain"])
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator("#map .cells").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
