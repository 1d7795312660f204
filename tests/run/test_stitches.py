"""Which stitches globs name, and what is said where they name none."""

import pytest

from stitchpipe.config import ConfigError, parse
from stitchpipe.graph import LayerInfo
from stitchpipe.run.stitches import planned_stitches

SWEEP = """
name = "globs"
data = { kind = "digits" }
[[models]]
name = "first@0"
architecture = "digit_resnet"
untrained = true
[[models]]
name = "second@0"
architecture = "digit_resnet"
untrained = true
[[stitch]]
method = "dm"
sources = ["first@0/*"]
targets = ["TARGETS"]
"""
TABLE = {
    model: (LayerInfo("early", (4, 4, 4), is_cut=True), LayerInfo("late", (8, 2, 2), is_cut=True))
    for model in ("first@0", "second@0")
}


def planned(targets, left_out=()):
    sweep = parse(SWEEP.replace("TARGETS", targets), where="globs", folder=None).without(left_out)
    table = {model: TABLE[model] for model in TABLE if model not in left_out}
    return planned_stitches(sweep, sweep.stitch, table).made


def test_every_pair_that_globs_name():
    assert [(str(stitch.source), str(stitch.target)) for stitch in planned("second@0/l*")] == [
        ("first@0/early", "second@0/late"),
        ("first@0/late", "second@0/late"),
    ]


@pytest.mark.parametrize(
    ("targets", "left_out", "said"),
    [
        ("second-0/*", (), "Did you mean 'second@0'? Models are first@0, second@0."),
        (
            "second-0/*",
            ("first@0",),
            "Did you mean 'second@0'? Models are second@0, first@0.",
        ),  # one is not inspected yet
        ("second@0/early+late", (), "'second@0/early+late', a joint cut. Take a cut before or behind it"),
        ("second@0/lat", (), "Did you mean 'second@0/late'? Layers of second@0 are early, late."),
    ],
)
def test_what_names_nothing_is_told_what_there_is(targets, left_out, said):
    with pytest.raises(ConfigError) as caught:
        planned(targets, left_out)
    assert said in str(caught.value)


def test_a_target_of_a_joint_cut_is_refused_with_its_name():
    why = "late crosses beside it; together a cut: late+later"
    branch = LayerInfo("later", (8, 2, 2), is_cut=False, why_no_cut=why)
    sweep = parse(SWEEP.replace("TARGETS", "second@0/later"), where="globs", folder=None)
    with pytest.raises(ConfigError, match=r"found second@0/later: late crosses beside it; .*: late\+later"):
        planned_stitches(sweep, sweep.stitch, TABLE | {"second@0": (*TABLE["second@0"], branch)})
