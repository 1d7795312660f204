"""Keys hold explicit fields: what a section gains or loses does not change them unseen."""

from __future__ import annotations

from typing import get_args

from stitchpipe import config
from stitchpipe.run import declared

SWEEP = """
name = "keys"
data = { kind = "digits" }
[dump]
view = "full"
[[models]]
name = "A"
architecture = "cifar_resnet"
untrained = true
[[models]]
name = "P"
control = { kind = "permuted", of = "A" }
"""


def kinds(union):
    """Return the sections of a union, from ``Annotated[Annotated[A, …] | B, …]``."""
    return [get_args(choice)[0] if get_args(choice) else choice for choice in get_args(get_args(union)[0])]


def test_every_key_of_a_model_counts_but_what_it_is_called():
    fields = {key for section in kinds(config.Model) for key in section.model_fields}
    # Of an object the digest stands in the name of its architecture.
    assert fields == {*declared.MODEL, "name", "rule", "object", "ingested", "fingerprints"}


def test_every_key_of_a_control_counts():
    assert {key for section in kinds(config.Control) for key in section.model_fields} == set(declared.CONTROL)


def test_all_of_a_dump_counts_that_changes_a_value_or_its_row():
    how_it_lies = {"keep", "augment", "codec", "chunk_kib", "shard_mib"}
    assert set(config.Dump.model_fields) == {*declared.DUMP, *how_it_lies}
    assert set(config.Augment.model_fields) == {*declared.AUGMENT, "passes"}


def test_what_another_kind_would_say_is_in_keys_as_nothing(tmp_path):
    sweep = config.parse(SWEEP, where="x", folder=tmp_path)
    network, permuted = map(declared.model_fields, sweep.models)
    assert network == {
        "architecture": "cifar_resnet", "options": {}, "weights": None, "pretrained": False, "train": None,
        "untrained": True, "seed": 0, "layers": None, "control": None,
    }  # fmt: skip
    assert permuted["control"] == {
        "kind": "permuted",
        "shape": [64, 8, 8],
        "noise": 1.0,
        "of": "A",
        "seed": 0,
    }
    assert "positions" not in sweep.dump.model_dump()
    assert declared.dump_fields(sweep.dump)["positions"] == 16
    assert "groups" not in sweep.data.model_dump()
    assert declared.data_fields(sweep.data) == {
        "kind": "digits", "name": "", "limit": None, "size": None, "mean": None, "std": None, "seed": 0,
        "test_fraction": 0.25,
    }  # fmt: skip
