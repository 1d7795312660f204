"""A census: one process a network, rows that stay, and what counts as split."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from stitchpipe.census import (
    CensusError,
    Limits,
    Row,
    Scope,
    Subject,
    census_table,
    examination,
    examined,
    matching,
    small_networks,
    subjects,
    take,
    taken,
)
from stitchpipe.census import census as census_module
from stitchpipe.census.cheap_weights import judged_images
from stitchpipe.census.difference import are_alike
from stitchpipe.census.examination import spread
from stitchpipe.census.processes import rows
from stitchpipe.census.small_networks import Small
from stitchpipe.census.table import family_table
from storage import CheckedFiles, open_place
from tests.census.misbehaving import misbehave
from tests.graph.branched_networks import ThreeBranches, made

NAMES = [Subject(f"timm/{name}", "timm", name) for name in ("good", "dies", "grows", "hangs", "after")]


@pytest.fixture
def few_preloaded(monkeypatch):
    """Let the process that networks are forked from import no library of networks: three take ten seconds."""
    monkeypatch.setattr("stitchpipe.census.processes.PRELOADED", ("torch", "stitchpipe.census.row"))


def test_a_network_that_dies_grows_or_hangs_has_a_row_that_says_so_and_the_others_go_on(
    few_preloaded,
):
    limits = Limits(memory_mib=600, seconds=4)
    found = {row.family: row for row in rows(NAMES, misbehave, limits, jobs=5, until=float("inf"))}
    assert found.keys() == {subject.family for subject in NAMES}
    assert [found[name].outcome for name in ("good", "after")] == ["split", "split"]
    assert "exit code -6" in found["dies"].reason
    assert "0.585938 GiB" in found["grows"].reason
    assert "more than 4 s" in found["hangs"].reason


def test_none_is_begun_when_the_time_is_over():
    assert list(rows(NAMES[:1], misbehave, Limits(), jobs=1, until=0.0)) == []


def test_a_census_goes_on_with_the_networks_that_it_lacks(tmp_path, monkeypatch):
    files = CheckedFiles(open_place(tmp_path))
    looked_at = []

    def counted(missing, *_):
        looked_at.extend(subject.name for subject in missing)
        return (
            Row(name=one.name, library=one.library, family=one.family, outcome="split") for one in missing
        )

    monkeypatch.setattr(census_module, "rows", counted)
    told = []
    take(files, Scope(match=["resnet18", "resnet34"]), lambda row, done, total: told.append((done, total)))
    take(files, Scope(match=["resnet*"], limit=3), lambda *_: None)
    assert looked_at == ["resnet18", "resnet34", "resnet50"]
    assert told == [(1, 2), (2, 2)]
    assert {row.name for row in taken(files)} == set(looked_at)
    take(files, Scope(match=["resnet18"], again=True), lambda *_: None)
    assert looked_at[3:] == ["resnet18"]


def test_rows_of_other_versions_of_the_libraries_are_made_again(tmp_path, monkeypatch):
    files, looked_at = CheckedFiles(open_place(tmp_path)), []

    def counted(missing, *_):
        looked_at.extend(missing)
        return (
            Row(name=one.name, library=one.library, family=one.family, outcome="split") for one in missing
        )

    monkeypatch.setattr(census_module, "rows", counted)
    for running in ("torch 1", "torch 1", "torch 2"):
        monkeypatch.setattr(census_module, "versions", lambda running=running: running)
        take(files, Scope(match=["resnet18"]), lambda *_: None)
    assert len(looked_at) == 2


def test_a_row_comes_back_from_its_record():
    row = Row(
        name="a", library="timm", family="b", outcome="split", cuts_by_third=(1, 2, 3), mismatches=("x",)
    )
    assert Row.from_dict(row.to_dict()) == row
    assert Row.from_dict(row.to_dict() | {"version": 0}) is None


def test_a_part_of_the_census_has_all_families():
    known = subjects()
    families = {(subject.library, subject.family) for subject in known}
    assert {(one.library, one.family) for one in known[: len(families)]} == families
    assert len(known) > 1500
    assert len({subject.name for subject in known}) == len(known)


def test_a_glob_that_fits_nothing_is_refused():
    with pytest.raises(CensusError, match=r"--match resnot18: .*Did you mean 'resnet18'"):
        matching(subjects(), ["resnot18"])


def test_cuts_are_spread_over_the_depth():
    assert spread(range(100), 4) == [0, 33, 66, 99]
    assert spread(["a", "b"]) == ["a", "b"]


SLOW = ["cifar_resnet", "timm/xcit_nano_12_p16_224"]  # attention of the second saturates under usual weights


@pytest.mark.parametrize(
    "name", ["timm/test_vit", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
)
def test_small_networks_are_split(name):
    row = examined(next(subject for subject in subjects() if subject.name == name))
    assert (row.outcome, row.reason, row.mismatches, row.miscaptured) == ("split", "", (), ())
    assert row.tested == row.exact > 5
    assert row.captured == row.layers
    assert min(row.cuts_by_third) >= 1


class Saturated(nn.Module):
    """Answers all images alike while its weights are large."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3 * 32 * 32, 8))

    def forward(self, x):
        answers = x.flatten(1) @ self.weight
        return answers if self.weight.abs().max() < 0.6 else torch.ones_like(answers)


def test_weights_under_which_a_network_answers_all_images_alike_are_made_smaller(monkeypatch):
    monkeypatch.setattr(small_networks, "build", lambda *_, **__: Saturated())
    made = small_networks.small(Subject("saturated", "stitchpipe", "saturated"))
    assert not are_alike(made.network(judged_images(made.shape)))


class Forgetful(nn.Module):
    """Gives other answers through a graph that is traced from it than it says: a constant of the first image."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = (nn.Linear(48, 48) for _ in range(3))

    def forward(self, x):
        return self.third(self.second(self.first(x.flatten(1))))


@pytest.fixture
def forgetful(monkeypatch):
    torch.manual_seed(0)
    network = Forgetful().eval()
    monkeypatch.setattr(examination, "small", lambda _: Small(network, (3, 4, 4), ""))
    return Subject("forgetful", "stitchpipe", "forgetful")


def test_a_tail_that_gives_other_answers_is_a_mismatch(forgetful, monkeypatch):
    honest = examination.tails

    def wrong(network, names, *, example):
        for name, behind in honest(network, names, example=example):
            yield name, nn.Sequential(behind, nn.Hardtanh(-0.1, 0.1)) if name == "second" else behind

    assert examined(forgetful).outcome == "split"
    monkeypatch.setattr(examination, "tails", wrong)
    row = examined(forgetful)
    assert (row.outcome, row.mismatches) == ("not split", ("second",))
    assert "the tail behind second gives other answers" in row.reason


def test_a_layer_that_is_captured_wrongly_is_found(forgetful, monkeypatch):
    honest = examination.extractor

    def wrong(network, names):
        return lambda images: {
            name: value + 0.1 * (name == "first") for name, value in honest(network, names)(images).items()
        }

    monkeypatch.setattr(examination, "extractor", wrong)
    row = examined(forgetful)
    assert (row.outcome, row.miscaptured) == ("not split", ("first",))


def test_the_table_counts_what_was_reached():
    rows_of = [
        Row(name=name, library="timm", family="f", outcome=outcome, signature=name[0], tested=2, exact=1)
        for name, outcome in (("a1", "split"), ("a2", "split"), ("b", "not split"), ("c", "not reached"))
    ]
    line = census_table(rows_of).splitlines()[-1]
    assert line == "| all | 3 | 2 (66.7 %) | 2 | 0 | 2 | 0 | 6 | 3 | 0 | 0 | 0 | 1 |"


def test_networks_that_only_joint_cuts_split_have_columns_of_their_own():
    single = {"cuts_by_third": (2, 0, 1), "functions_by_third": (0, 1, 0), "joint_by_third": (0, 4, 0)}
    joint = single | {"functions_by_third": (0, 0, 0)}
    rows_of = [
        Row(name=name, library="timm", family="f", outcome=outcome, joint_tested=4, joint_exact=3, **thirds)
        for name, outcome, thirds in (
            ("a", "split", single),
            ("b", "split", joint),
            ("c", "split", joint),
            ("d", "not split", joint),
        )
    ]
    line = census_table(rows_of).splitlines()[-1]
    assert line == "| all | 4 | 3 (75.0 %) | 1 | 2 | 1 | 0 | 0 | 0 | 16 | 12 | 0 | 0 |"
    assert family_table(rows_of).splitlines()[-1].startswith("| timm: f | 4 of 4 | 1 | 2 | 0 |")


@pytest.fixture
def branched(monkeypatch):
    network = made(ThreeBranches)
    monkeypatch.setattr(examination, "small", lambda _: Small(network, (3, 8, 8), ""))
    return Subject("branched", "stitchpipe", "branched")


def test_a_network_of_branches_is_split_by_joint_cuts_and_each_is_tested(branched, monkeypatch):
    row = examined(branched)
    assert (row.outcome, row.reason, row.is_split_by_joint_cuts) == ("split", "", True)
    assert (row.cuts_by_third[1], row.functions_by_third[1]) == (0, 0)
    assert row.joint_tested == row.joint_exact == row.joint_cuts >= 4
    assert row.tested == row.exact == row.cuts
    monkeypatch.setattr(examination, "joint_by_third", lambda _: (0, 0, 0))
    row = examined(branched)
    assert row.outcome == "not split"
    assert "no cut in the middle third" in row.reason


def test_a_joint_tail_that_gives_other_answers_is_a_mismatch(branched, monkeypatch):
    honest = examination.tails

    def wrong(network, names, *, example):
        for name, behind in honest(network, names, example=example):
            yield name, nn.Sequential(behind, nn.Hardtanh(-0.1, 0.1)) if "+" in name else behind

    monkeypatch.setattr(examination, "tails", wrong)
    row = examined(branched)
    assert row.outcome == "not split"
    assert len(row.mismatches) == row.joint_tested
    assert (row.joint_exact, row.tested - row.exact) == (0, 0)


def test_answers_that_are_not_finite_are_a_reason_and_their_row_can_be_kept(forgetful):
    network = examination.small(forgetful).network
    network.third.weight.data.fill_(float("inf"))
    row = examined(forgetful)
    assert (row.outcome, row.reason) == ("not split", "its random weights give answers that are not finite")
    assert (row.tested, row.mismatches, row.miscaptured) == (0, (), ())


def test_a_tail_that_answers_without_bounds_has_a_row_that_can_be_kept(forgetful, monkeypatch):
    honest = examination.tails

    def wrong(network, names, *, example):
        for name, behind in honest(network, names, example=example):
            yield name, nn.Sequential(behind, nn.Threshold(float("inf"), float("inf")))

    monkeypatch.setattr(examination, "tails", wrong)
    row = examined(forgetful)
    assert row.mismatches == ("first", "second", "third")
    assert json.loads(json.dumps(row.to_dict(), allow_nan=False))["largest_difference"] > 1e300
