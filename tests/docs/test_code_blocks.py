"""What the README and the documentation show is true: Python runs, sweeps are valid, commands exist, queries answer."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest

import stitchpipe as sp
from stitchpipe import config
from stitchpipe.cli import app
from stitchpipe.data.kinds.entry_point import DATA_SETS
from stitchpipe.models.entry_points import NETWORKS
from stitchpipe.results import table_of_records
from stitchpipe.run import RunPlace
from stitchpipe.run.agenda import Agenda
from stitchpipe.run.layer_numbers import COLUMNS
from tests import synthetic_results
from tests.cli.command import stitchpipe
from tests.docs.asked_run import make_asked_run
from tests.docs.blocks import PAGES, ROOT, Block, blocks_of, commands_of

ASKING = {"asking.md", "questions.md", "studies.md"}
"""Pages whose run is a real one."""
WALKED = {"tour.md"}
"""Pages that are walked whole, from a run that they make themselves (`test_tour.py`)."""
BLOCKS = {page: blocks_of(page) for page in PAGES}


def of_language(language, pages=PAGES):
    return [
        pytest.param(block, id=f"{page.relative_to(ROOT)}:{block.line}")
        for page, blocks in BLOCKS.items()
        if page in pages
        for block in blocks
        if block.language == language
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the quickstart seems to have run: two layers' activations, and made-up results."""
    folder = tmp_path_factory.mktemp("pages")
    generator = np.random.default_rng(0)
    rows = {name: generator.normal(size=(60, 4, 2, 2)) for name in ("layer1.0", "layer2.0")}
    run = folder / "runs" / "quickstart"
    for model in ("A", "B"):
        batch = ([str(number) for number in range(60)], rows)
        sp.ingest_batches(run, [batch], dataset="digits", split="test", model=model)
    frame = synthetic_results.results(views=("pooled",)).astype(object)
    records = frame.where(frame.notna(), None).to_dict("records")
    place = RunPlace.at(run)
    place.results.write("made-up", table_of_records(records))
    numbers = dict.fromkeys(COLUMNS, None) | {"status": "ok", "view": "pooled", "value": 2.0}
    place.layer_numbers.add([{**numbers, "model": "A", "layer": "layer1.0", "measure": "two_nn", "key": "0"}])
    Agenda("quickstart", 0.0, {"dump": ("dump A test", "dump B test"), "report": ("report",)}).keep(
        place.files
    )
    return folder


@pytest.fixture(scope="module")
def asked(tmp_path_factory, cluster):
    """A folder in which a small quickstart has run, for pages that ask for more than numbers."""
    folder = tmp_path_factory.mktemp("asked")
    make_asked_run(folder, cluster)
    shutil.copytree(folder / "runs" / "quickstart", folder / "runs" / "after")
    return folder


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.name not in WALKED and any(b.language == "python" for b in BLOCKS[page])],
)
def test_python_runs(page, request, monkeypatch):
    monkeypatch.chdir(request.getfixturevalue("asked" if page.name in ASKING else "folder"))
    names = {}
    for block in BLOCKS[page]:
        if block.language != "python":
            continue
        if block.remark:
            assert re.fullmatch(r"no-run \(.+\)", block.remark), f"{page.name}:{block.line}: {block.remark}"
            continue
        for text in (block.hidden if block.kind == "setup" else "", block.text):
            exec(compile(text, f"{page.name}:{block.line}", "exec"), names)


@pytest.mark.parametrize("block", of_language("toml"))
def test_toml_is_a_sweep_or_registers_an_entry_point(block):
    if block.kind == "pyproject":
        (groups,) = [tomllib.loads(block.text)["project"]["entry-points"]]
        assert groups.keys() <= {DATA_SETS.group, NETWORKS.group}
        return
    before = block.hidden if block.kind == "sweep" else ""
    config.parse(before + block.text, where="the page", folder=Path())


@pytest.mark.parametrize("block", of_language("sh"))
def test_commands_exist(block, folder, monkeypatch):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    monkeypatch.chdir(folder)
    for program, *arguments in commands_of(block):
        if program == "make":
            assert set(arguments) <= targets, arguments
            continue
        assert program == "stitchpipe", program
        command, _, unused = app.parse_args(arguments, exit_on_error=False, print_error=False)
        assert command is not app.default_command, f"no command: {arguments}"
        assert unused == {}, f"{arguments}: {unused}"
        if arguments[0] == "query" and len(arguments) > 2:
            assert len(sp.open(arguments[1]).query(arguments[2])), arguments[2]
        if arguments[0] in {"status", "doctor"} and all(Path(run).exists() for run in arguments[1:2]):
            assert stitchpipe(*arguments).returncode in {0, 1}, arguments


@pytest.mark.parametrize("block", of_language("sh", [ROOT / "docs" / "questions.md"]))
def test_each_question_is_a_command_that_answers(block, asked, monkeypatch):
    monkeypatch.chdir(asked)
    for _, *arguments in commands_of(block):
        ended = stitchpipe(*arguments)
        assert ended.returncode == 0, f"{arguments}: {ended.stderr}"
        # Where a file is written there may be nothing to read.
        assert ended.stdout or ended.stderr, arguments


def test_a_command_or_an_option_that_is_none_would_be_seen():
    for wrong in ("stitchpipe runn x.toml", "stitchpipe run x.toml --ouut y", "stitchpipe plan"):
        (command,) = commands_of(Block(1, "sh", "", wrong))
        with pytest.raises(Exception, match=r"Unknown|[Rr]equires|run"):
            app.parse_args(command[1:], exit_on_error=False, print_error=False)


def test_words_of_commands_are_those_of_a_shell():
    text = "# why\nstitchpipe query r \"SELECT a\n  FROM b WHERE c = 'd'\" # what\nmake \\\n  test\n"
    assert commands_of(Block(1, "sh", "", text)) == [
        ["stitchpipe", "query", "r", "SELECT a\n  FROM b WHERE c = 'd'"],
        ["make", "test"],
    ]
