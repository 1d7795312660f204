"""What the page copies as Python is run against the run that the page is of: it gives the numbers that are shown."""

from __future__ import annotations

import ast
import csv
import io

import pytest

import stitchpipe as sp

pytestmark = pytest.mark.browser

SHOWN = [
    ("A", "org/B", "cka@pooled"),
    ("org/B", "A", "procrustes_angle@positions"),
    ("*", "*", "dm_r2@positions"),
]


def copied(page):
    """Return what the copied calls give, in their order."""
    page.locator("#files").get_by_role("button", name="Copy as Python").click()
    module, names = (
        ast.parse(page.locator("#said").inner_text().partition("import")[2].join(["import", ""])),
        {},
    )
    calls = [part for part in module.body if isinstance(part, ast.Expr)]
    before = ast.Module([part for part in module.body if not isinstance(part, ast.Expr)], [])
    exec(compile(before, "copied", "exec"), names)
    return [eval(compile(ast.Expression(call.value), "copied", "eval"), names) for call in calls]


@pytest.mark.parametrize(("a", "b", "measure"), SHOWN)
def test_copied_calls_give_the_numbers_that_are_shown(a, b, measure, opened, tiny, tmp_path):
    page = opened.at((tiny.root / "report" / "index.html").as_uri())
    for control, value in (("a", a), ("b", b), ("measure", measure)):
        if page.locator(f"#choose-{control}").input_value() != value:
            with opened.drawing():
                page.select_option(f"#choose-{control}", value)
    with page.expect_download() as download:
        page.locator("#files").get_by_role("button", name="CSV").click()
    download.value.save_as(tmp_path / "shown.csv")
    shown = list(csv.DictReader(io.StringIO((tmp_path / "shown.csv").read_text("utf-8"))))
    first = [line.inner_text() for line in page.locator("#nearest tbody tr").first.locator("th, td").all()]

    matrix, nearest = copied(page)
    assert matrix.size == len(shown)
    results = sp.open(tiny.root).results()
    index, _, view = measure.partition("@")
    rows = results[(results["index"] == index) & (results["view"] == view) & results["method"].isna()]
    values = {
        (f"{row.source_model}/{row.source_layer}", f"{row.target_model}/{row.target_layer}"): row.value
        for row in rows.itertuples()
    }
    for cell in shown:
        source, target = (f"{cell[f'{side}_model']}/{cell[f'{side}_layer']}" for side in ("source", "target"))
        number = matrix.sel(source=source, target=target).item()
        assert number == pytest.approx(values[source, target], nan_ok=True)
        # The page holds some digits of each number, and the file six of these.
        assert number == pytest.approx(float(cell["value"] or "nan"), abs=1e-4, nan_ok=True)
    assert first[1].endswith(nearest["layer"].iloc[0])
    assert nearest["value"].iloc[0] == pytest.approx(float(first[2]), abs=1e-4)
