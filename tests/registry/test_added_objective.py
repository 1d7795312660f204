"""An objective of stitches that an installed package adds: in a sweep from its file to its page."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from stitchpipe import registry
from stitchpipe.cli.measure_tables import described, details, listing
from stitchpipe.config import ConfigError
from stitchpipe.run import Run
from stitchpipe.stitching import OBJECTIVES
from tests.registry.added import SWEEP, dumped, page_of, read, stitched

EXAMPLE = Path(__file__).parent / "example_objective"
ASKING = SWEEP + 'objectives = ["margin"]\n'


def test_a_sweep_trains_for_it_and_explains_it(install, tmp_path):
    install(EXAMPLE)
    run = dumped(ASKING, tmp_path)
    record, rows = stitched(run)
    assert record["made"] == 1
    assert (rows["objective"] == "margin").all()
    assert (rows["status"] == "ok").all()
    assert rows["final_loss"].iloc[0] > 0
    page = page_of(run)
    assert "task loss, margin" in page
    assert "above all others by one" in page  # the glossary
    assert registry.find_objective("margin").is_task_loss
    assert OBJECTIVES.names()[-1] == "margin"


def test_another_version_of_the_package_trains_anew(install, tmp_path):
    install(EXAMPLE)
    run = dumped(ASKING, tmp_path)
    assert stitched(run)[0]["made"] == 1
    about = next((tmp_path / "site-packages").glob("example_objective-1.0.dist-info"))
    text = (about / "METADATA").read_text().replace("Version: 1.0", "Version: 1.1")
    (about / "METADATA").write_text(text)
    about.rename(about.with_name("example_objective-1.1.dist-info"))
    assert stitched(Run.open(run.sweep, tmp_path / "run"))[0]["made"] == 1


def test_names_are_refused_where_they_stand(install, tmp_path):
    install(EXAMPLE)
    with pytest.raises(ConfigError, match=r"objectives.*'margn'.*Did you mean 'margin'"):
        read(ASKING.replace("margin", "margn"), tmp_path)


BAD = {
    "is broken": ("bad", "raise RuntimeError('no such wheel')", "an import that works.*no such wheel"),
    "gives something else": ("bad", "INDEX = 3", "objective.Objective, found a int"),
    "takes a name of ours": ("fula", "INDEX = 3", "a name of its own"),
    "has another name": (
        "bad",
        "from example_objective import MARGIN as INDEX",
        "the name of the entry point",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_package_that_cannot_be_used_is_told_in_one_line(install, write_package, tmp_path, case):
    name, source, message = BAD[case]
    install(EXAMPLE)
    write_package(name, source, group="stitchpipe.objectives")
    asked = name if name != "fula" else "margin"
    with pytest.raises(ConfigError, match=message) as caught:
        read(ASKING.replace("margin", asked), tmp_path)
    assert "\n" not in str(caught.value)


def test_the_listing_shows_it(install):
    install(EXAMPLE)
    view = io.StringIO()
    Console(width=200, file=view).print(listing(described([])), details(*described(["margin"])))
    assert "Crammer and Singer 2001" in view.getvalue()
    assert "above all others by one" in view.getvalue()
