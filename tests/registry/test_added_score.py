"""An out-of-distribution score that an installed package adds: in a sweep from its file to its page."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from stitchpipe import registry
from stitchpipe.cli.measure_tables import described, details, listing, records
from stitchpipe.config import ConfigError
from stitchpipe.ood import SCORES
from stitchpipe.run import Run
from tests.registry.added import SWEEP, dumped, page_of, read, stitched

EXAMPLE = Path(__file__).parent / "example_score"
ASKING = SWEEP + '[ood]\nscores = ["ood_mean_shift"]\n'


def test_a_sweep_that_asks_for_it_has_its_numbers_and_its_words(install, tmp_path):
    install(EXAMPLE)
    run = dumped(ASKING, tmp_path)
    record, rows = stitched(run)
    assert record["made"] == 1
    row = rows.loc["ood_mean_shift"]
    assert row["status"] == "ok"
    assert 0.0 < row["value"] < np.inf
    assert row["key"] == rows.loc["stitch_accuracy", "key"]
    page = page_of(run)
    assert "shift of the mean" in page
    assert "in native standard deviations" in page  # the glossary
    assert registry.find_measure("ood_mean_shift").kind == "ood"
    assert SCORES.names()[-1] == "ood_mean_shift"


def test_a_sweep_that_does_not_ask_for_it_does_not_know_of_it(install, tmp_path):
    run = dumped(SWEEP, tmp_path)
    _, rows = stitched(run)
    install(EXAMPLE)
    again, _ = stitched(Run.open(run.sweep, tmp_path / "run"))
    assert again["made"] == 0  # an installed package changes no key
    assert "ood_mean_shift" not in rows.index


def test_another_version_of_the_package_computes_its_numbers_anew(install, tmp_path):
    install(EXAMPLE)
    run = dumped(ASKING, tmp_path)
    assert stitched(run)[0]["made"] == 1
    assert stitched(run)[0]["made"] == 0
    about = next((tmp_path / "site-packages").glob("example_score-1.0.dist-info"))
    text = (about / "METADATA").read_text().replace("Version: 1.0", "Version: 1.1")
    (about / "METADATA").write_text(text)
    about.rename(about.with_name("example_score-1.1.dist-info"))
    assert stitched(Run.open(run.sweep, tmp_path / "run"))[0]["made"] == 1


def test_names_are_refused_where_they_stand(install, tmp_path):
    install(EXAMPLE)
    with pytest.raises(ConfigError, match=r"ood\.scores.*'ood_mean_shif'.*Did you mean 'ood_mean_shift'"):
        read(ASKING.replace("mean_shift", "mean_shif"), tmp_path)
    with pytest.raises(ConfigError, match=r"ood\.scores.*every stitch has.*'ood_knn'"):
        read(ASKING.replace("ood_mean_shift", "ood_knn"), tmp_path)


BAD = {
    "is broken": ("ood_bad", "raise RuntimeError('no such wheel')", "an import that works.*no such wheel"),
    "gives something else": ("ood_bad", "INDEX = 3", "stitchpipe.ood.score.Score, found a int"),
    "takes a name of ours": ("ood_knn", "INDEX = 3", "a name of its own"),
    "has a name without its prefix": (
        "mean_shift",
        "from example_score import MEAN_SHIFT as INDEX",
        "the name of the entry point",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_package_that_cannot_be_used_is_told_in_one_line(install, write_package, tmp_path, case):
    name, source, message = BAD[case]
    install(EXAMPLE)
    write_package(name, source, group="stitchpipe.ood_scores")
    asked = name if name != "ood_knn" else "ood_mean_shift"
    with pytest.raises(ConfigError, match=message) as caught:
        read(ASKING.replace("ood_mean_shift", asked), tmp_path)
    assert "\n" not in str(caught.value)


def test_the_listing_shows_it_and_what_cannot_be_used(install, write_package):
    install(EXAMPLE)
    write_package("ood_bad", "raise RuntimeError('no such wheel')", group="stitchpipe.ood_scores")
    view = io.StringIO()
    Console(width=200, file=view).print(listing(described([])), details(*described(["ood_mean_shift"])))
    text = view.getvalue()
    assert "shift of the mean" in text
    assert "in native standard deviations" in text
    assert "no such wheel" in text
    assert any(record["name"] == "ood_mean_shift" for record in records(described([])))
