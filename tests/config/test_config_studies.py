"""A study in a sweep: it becomes ordinary tables, once, at one budget."""

from __future__ import annotations

from typing import get_args

import pytest

from stitchpipe import config
from stitchpipe.config.studies import StudyTable
from stitchpipe.studies import STUDIES
from tests.config.small_sweeps import COMPARE, DM, MINIMAL, MODEL, parsed, refused

STUDY = '[[study]]\nname = "{}"\n'
TWO = MINIMAL + MODEL.replace('"A"', '"B"')
NAMES = [
    value
    for kind in get_args(get_args(StudyTable)[0])
    for value in get_args(kind.model_fields["name"].annotation)
]


def test_a_sweep_can_ask_every_study():
    assert set(NAMES) == set(STUDIES)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_out_reads_back_and_has_tables_alone(name):
    sweep = parsed(TWO + STUDY.format(name))
    assert not sweep.study
    assert sweep.compare or sweep.stitch
    text = config.declared_toml(sweep)
    assert "[[study]]" not in text
    assert parsed(text) == sweep
    budgets = {(table.steps, table.batch_size, table.learning_rate, table.seeds) for table in sweep.stitch
               if isinstance(table, config.TrainedStitch)}  # fmt: skip
    assert name == "budget" or len(budgets) <= 1


def test_a_study_adds_to_what_is_declared_and_repeats_nothing():
    plain = parsed(TWO + STUDY.format("distance"))
    beside = parsed(TWO + COMPARE + DM + STUDY.format("distance") + STUDY.format("self"))
    (table,) = beside.compare
    assert table.indices[0] == "cka"
    assert set(table.indices) == set(plain.compare[0].indices)
    # Distance and self stand for the same stitches.
    assert beside.stitch[1:] == plain.stitch
    assert [stitch.pairs for stitch in plain.stitch] == ["within", "within"]


def test_what_else_a_table_says_of_its_view_stays():
    declared = (
        '[[compare]]\nview = "pooled"\nindices = ["cka_rbf"]\nlayer_measures = ["participation_ratio"]\n'
    )
    (table,) = parsed(TWO + declared + STUDY.format("which-index")).compare
    assert table.layer_measures == ("participation_ratio",)
    assert table.indices[:2] == ("cka_rbf", "cka")
    (both,) = parsed(
        TWO + declared + STUDY.format("depth") + 'measures = ["two_nn", "participation_ratio"]\n'
    ).compare
    assert both.layer_measures == ("participation_ratio", "two_nn")


def test_deletions_are_asked_for_by_a_table_or_by_the_study():
    pooled = '[[compare]]\nview = "pooled"\nindices = ["cka", "cka_minibatch"]\n'
    (plain,) = parsed(TWO + pooled + STUDY.format("which-index")).compare
    assert not plain.deletions
    assert plain.deletion_indices == ()
    for text in (pooled + "deletions = true\n", pooled + STUDY.format("which-index") + "deletions = true\n"):
        (table,) = parsed(TWO + text).compare
        assert table.deletions
        # Batches of a dump are none of a layer and what is left of it.
        assert table.deletion_indices == tuple(name for name in table.indices if name != "cka_minibatch")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('[[compare]]\nview = "positions"\nindices = ["cka_biased"]\ndeletions = true\n', "view 'positions'"),
        ('[[compare]]\nview = "pooled"\nindices = ["agreement"]\ndeletions = true\n', "agreement"),
        (STUDY.format("which-index") + 'view = "positions"\ndeletions = true\n', "view 'positions'"),
        ('[dump]\nkeep = false\n[[compare]]\nview = "pooled"\nindices = ["cka"]\ndeletions = true\n', "and deletions"),
    ],
)  # fmt: skip
def test_deletions_that_cannot_be_had_are_refused(text, found):
    assert found in str(refused(TWO + text))


def test_networks_and_layers_can_be_narrowed_and_controls_are_no_targets():
    control = '[[models]]\nname = "codes"\ncontrol = { kind = "random_codes" }\n'
    narrowed = STUDY.format("ood") + 'models = ["B"]\nlayers = "blocks:4"\nsteps = 7\n'
    sweep = parsed(TWO + control + narrowed)
    assert {stitch.targets for stitch in sweep.stitch} == {("B/blocks:4",)}
    assert [stitch.steps for stitch in sweep.stitch if isinstance(stitch, config.TrainedStitch)] == [7, 7]
    everything = parsed(TWO + control + STUDY.format("ood"))
    assert everything.stitch[0].sources == ("A/*", "B/*")


def test_too_few_networks_are_told_by_the_key():
    error = refused(MINIMAL + STUDY.format("correspondence"))
    assert "study[0].models" in str(error)
    assert "at least 2 networks" in str(error)


def test_tables_that_a_study_reads_are_not_idle():
    certain = "[certainty]\npermutations = 19\n"
    assert parsed(TWO + certain + STUDY.format("distance")).certainty.permutations == 19
    assert "compare" in str(refused(TWO + certain + STUDY.format("self")))


def test_a_study_that_is_none_is_refused():
    assert "distance" in str(refused(TWO + STUDY.format("distances")))
