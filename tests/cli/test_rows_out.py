"""How rows come out: as a table that fits, or as files for programs; and what reaches a terminal."""

from __future__ import annotations

import io
import json
import re

import pandas as pd
import pytest
from rich.text import Text

from stitchpipe.cli.console import SafeConsole, visible
from stitchpipe.cli.files_out import OutputError
from stitchpipe.cli.rows_out import RowsOut, encoded
from stitchpipe.cli.wide_tables import MOST_ROWS, fitted
from stitchpipe.run.place import RunPlace
from tests.cli.command import stitchpipe

ROWS = pd.DataFrame(
    {"index": ["cka", "cca"], "view": ["pooled"] * 2, "value": [0.5, None], "reason": [None, None]}
)
ODD_NAMES = ("layer\x1b]0;owned\x07", "bytes\udcff\udc80", "line\u2028end", "\ufeffmark", "\x9b31m")
HOSTILE = "layer\x1b]0;owned\x07\x1b[2J\u202egnp"


def shown(frame, width):
    console = SafeConsole(file=io.StringIO(), width=width)
    for part in fitted(frame, width=width):
        console.print(part)
    return console.file.getvalue()


def test_a_table_that_fits_has_every_column_and_no_remark():
    text = shown(ROWS, 80)
    assert all(name in text for name in ROWS.columns)
    assert "In all" not in text


def test_in_a_narrow_terminal_columns_that_differ_are_left_and_the_others_are_told():
    text = shown(ROWS, 30)
    assert "In all 2 rows: view pooled." in text.replace("\n", " ")
    assert "Empty in all of them: reason." in text
    assert "index" in text.splitlines()[1]
    assert "view" not in text.splitlines()[1]


def test_columns_that_do_not_fit_are_named():
    wide = pd.DataFrame({f"column{number:02}": [number, number + 1] for number in range(30)})
    text = shown(wide, 60)
    head, _, told = text.partition("Left out, for want of width: ")
    assert max(len(line) for line in text.splitlines()) <= 60
    named = set(re.findall(r"column\d\d", told)) | set(re.findall(r"column\d\d", head))
    assert named == set(wide.columns)


def test_one_row_stands_upright_and_rows_beyond_many_are_counted():
    text = shown(ROWS.head(1).assign(**{f"more{n}": "x" * 20 for n in range(9)}), 60)
    assert re.search(r"view\s+│ pooled", text)
    many = pd.DataFrame({"n": range(MOST_ROWS + 7)})
    assert "and 7 more rows" in shown(many, 80)


def test_columns_of_one_name_are_both_shown():
    twice = pd.DataFrame([[1, 2]], columns=["n", "n"])
    assert re.search(r"│ 1 │ 2 │", shown(twice, 80))


def test_formats_hold_the_same_rows(tmp_path):
    assert encoded(ROWS, "csv").decode().splitlines() == [
        "index,view,value,reason",
        "cka,pooled,0.5,",
        "cca,pooled,,",
    ]
    assert json.loads(encoded(ROWS, "json")) == [
        {"index": "cka", "view": "pooled", "value": 0.5, "reason": None},
        {"index": "cca", "view": "pooled", "value": None, "reason": None},
    ]
    path = tmp_path / "rows.parquet"
    RowsOut(output=path).say(ROWS)
    pd.testing.assert_frame_equal(pd.read_parquet(path), ROWS)


def test_an_ending_that_says_no_format_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"\.xlsx"):
        RowsOut(output=tmp_path / "rows.xlsx").say(ROWS)
    with pytest.raises(OutputError, match="No such file"):
        RowsOut(output=tmp_path / "nowhere" / "rows.csv").say(ROWS)


def test_nothing_that_a_name_contains_commands_the_terminal():
    console = SafeConsole(file=io.StringIO(), force_terminal=True, width=200)
    for part in (
        *fitted(pd.DataFrame({HOSTILE: [HOSTILE]}), HOSTILE, width=200),
        Text(HOSTILE, style="bold"),
    ):
        console.print(part)
    text = console.file.getvalue()
    # What is left of escapes are Rich's own styles.
    assert set(re.findall("\x1b[^m]*m?", text)) <= {"\x1b[0m", "\x1b[1m", "\x1b[3m"}
    assert "\x07" not in text
    assert "\u202e" not in text
    assert "\\x1b]0;owned" in text
    assert visible("a\x1bb\n\tc") == "a\\x1bb\n\tc"


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("command", ["verify {}", "status {}", "plan {}", "layers {}", "{}", "verify x --{}"])
def test_no_refusal_commands_the_terminal_or_stumbles_over_a_name(name, command, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    done = stitchpipe(*command.format(name).split(" "))
    said = done.stdout + done.stderr
    assert done.returncode == 2
    assert "Traceback" not in said
    assert visible(said) == said
    said.encode()  # what reaches the terminal is UTF-8


ODD_TYPES = [
    "[1, 2]", "MAP {'a': 1}", "{'a': 1}", "INTERVAL '1' MONTH", "'1'::BIT", "'x'::BLOB", "1::UHUGEINT", "uuid()",
    "union_value(a := 1)", "'290309-12-22'::DATE", "'infinity'::TIMESTAMP", "TIMETZ '12:00:00+01'", "NULL",
    "1, 1", "1 AS a, 2 AS a", "chr(27)",
]  # fmt: skip


@pytest.mark.parametrize("format", ["table", "csv", "json", "parquet"])
def test_answers_of_every_type_of_the_database_come_out_or_are_refused(format, tmp_path):  # noqa: A002
    RunPlace.at(tmp_path).declare('name = "x"')
    for question in ODD_TYPES:
        to = ("--output", tmp_path / "a.parquet") if format == "parquet" else ()
        done = stitchpipe("query", tmp_path, f"SELECT {question}", "--format", format, *to)
        assert done.returncode in (0, 2), done.stderr
        assert "\n" not in done.stderr.strip()
        if done.returncode == 2:
            assert done.stderr.startswith("stitchpipe: ")
            assert any(word in done.stderr for word in ("Cast the column", "Name them apart")), done.stderr


def test_a_column_is_not_lost_behind_another_of_its_name():
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    assert encoded(twice, "csv") == b"a,a\n1,2\n"
    with pytest.raises(OutputError, match="two called 'a'"):
        encoded(twice, "json")
