"""Questions about layers, asked as a user does, against the answers of the Python API and of the results."""

from __future__ import annotations

import io
import json

import pandas as pd
import pytest
from PIL import Image

import stitchpipe as sp
from stitchpipe.cli.console import SafeConsole
from stitchpipe.cli.heat_maps import heat_map
from tests.cli.command import refused, stitchpipe


def rows_of(*arguments):
    ended = stitchpipe(*arguments, "--format", "json")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_nearest_layers_are_those_of_python(tiny):
    rows = rows_of("nearest", tiny.root, "A/layer2.0", "--among", "org/B/*", "--top", 2)
    frame = sp.open(tiny.root).nearest("A/layer2.0", among="org/B/*", top=2)
    assert [row["end"] for row in rows] == frame["end"].tolist()
    assert [row["value"] for row in rows] == frame["value"].tolist()
    shown = stitchpipe("nearest", tiny.root, "A/layer2.0", "--format", "table").stdout
    assert "Nearest to A/layer2.0 by cka" in shown


def test_a_matrix_comes_out_as_numbers_and_as_pictures(tiny, tmp_path):
    csv, png, svg = (tmp_path / f"cka.{ending}" for ending in ("csv", "png", "svg"))
    ended = stitchpipe("matrix", tiny.root, "cka", "A", "org/B", "--csv", csv, "--png", png, "--svg", svg)
    assert (ended.returncode, ended.stdout) == (0, "")
    frame = pd.read_csv(csv, index_col="source")
    expected = sp.open(tiny.root).matrix("cka", "A", "org/B")
    assert frame.index.tolist() == expected["source"].to_numpy().tolist()
    assert frame.columns.tolist() == expected["target"].to_numpy().tolist()
    assert frame.to_numpy() == pytest.approx(expected.to_numpy())
    assert min(Image.open(png).size) > 200
    assert svg.read_text().startswith("<svg")
    assert pd.read_csv(io.StringIO(stitchpipe("matrix", tiny.root, "cka", "A", "org/B").stdout)).shape == (
        3,
        4,
    )


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_heat_map_fits_the_terminal_and_shows_every_layer_or_says_so(tiny, width):
    found = sp.open(tiny.root).matrix("cka")
    console = SafeConsole(file=io.StringIO(), width=width, force_terminal=True, color_system="truecolor")
    lines = heat_map(found, width)
    assert max(line.cell_len for line in lines[1:]) <= width
    for line in lines:
        console.print(line)
    text = console.file.getvalue()
    assert "48;2;" in text  # colours behind cells
    n_rows = sum(line.plain.startswith(("A/", "org/B/")) for line in lines)
    assert n_rows == found["source"].size or "One layer of" in text


def test_without_colours_cells_are_shaded_and_numbers_stay(tiny):
    found = sp.open(tiny.root).matrix("cka")
    wide = "\n".join(line.plain for line in heat_map(found, 200, is_coloured=False))
    narrow = "\n".join(line.plain for line in heat_map(found, 40, is_coloured=False))
    assert "1.00" in wide
    assert "██" in narrow


def test_pairs_beyond_chance_are_those_below_the_level(tiny):
    run = sp.open(tiny.root)
    expected = run.significant("cka", below=0.5)
    rows = rows_of("significant", tiny.root, "cka", "--below", 0.5)
    assert [(row["source"], row["target"]) for row in rows] == list(
        zip(expected["source"], expected["target"], strict=True)
    )


def test_what_changed_between_two_runs_is_counted_and_listed(tiny, tmp_path):
    other = tiny.copy(tmp_path / "run")
    none = {row["what"]: row["count"] for row in rows_of("diff", tiny.root, other.place.url)}
    assert none.pop("numbers that are equal") > 0
    assert set(none.values()) == {0}
    key = next(key for key in sorted(other.results.keys()) if key.startswith("stitch"))
    part = other.place.files.find(f"results/{key}")
    other.place.files.remove(part.name)
    gone = {row["what"]: row["count"] for row in rows_of("diff", tiny.root, other.place.url)}
    removed = rows_of("diff", tiny.root, other.place.url, "--what", "removed")
    assert len(removed) == gone["numbers removed"] > 0
    assert rows_of("diff", tiny.root, other.place.url, "--what", "declaration") == []


def test_names_that_are_none_are_refused_with_the_nearest(tiny):
    assert "layer2.0" in refused("nearest", tiny.root, "A/layer2.9")
    assert "cka" in refused("matrix", tiny.root, "ckaa")
