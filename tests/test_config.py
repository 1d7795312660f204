"""Sweep files: what is accepted, and that a refusal says where, what, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stitchpipe import config
from stitchpipe.sweep.planning import declared_toml

MODEL = """
[[models]]
name = "A"
architecture = "cifar_resnet"
train = { epochs = 1 }
"""
MINIMAL = 'name = "tiny"\n[data]\nkind = "digits"\n' + MODEL


def refused(text: str) -> config.ConfigError:
    with pytest.raises(config.ConfigError) as caught:
        config.parse(text, where="sweep.toml", folder=Path())
    error = caught.value
    assert all((error.where, error.expected, error.found, error.remedy))
    return error


def test_the_shipped_quickstart_is_a_sweep():
    sweep = config.load("quickstart")
    assert sweep.labels == ("A", "B", "C")
    assert {table.view for table in sweep.compare} == {"positions", "pooled"}


def test_defaults_written_out_parse_back_to_the_same_sweep():
    for sweep in (config.load("quickstart"), config.parse(MINIMAL, where="x", folder=Path())):
        assert config.parse(declared_toml(sweep), where="again", folder=Path()) == sweep


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        (MINIMAL.replace("[data]", "[dta]"), "dta", "Did you mean 'data'?"),
        (
            MINIMAL.replace("architecture", "arhitecture"),
            "models[0].arhitecture",
            "Did you mean 'architecture'?",
        ),
        (MINIMAL.replace("epochs", "epoch"), "models[0].train.epoch", "Did you mean 'epochs'?"),
        (MINIMAL.replace('"digits"', '"digit"'), "data.kind", "Did you mean 'digits'?"),
        (
            MINIMAL + '[[compare]]\nview = "poled"\nindices = ["cka"]\n',
            "compare[0].view",
            "Did you mean 'pooled'?",
        ),
        (MINIMAL + '[[compare]]\nview = "pooled"\nindices = ["ckaa"]\n', "compare[0].indices[0]", "'cka'"),
        (MINIMAL + '[[compare]]\nview = "positions"\nindices = ["cka"]\n', "compare[0]", "cka_biased"),
        (
            MINIMAL + '[[stitch]]\nmethod = "dm"\nsources = ["A"]\ntargets = ["A/*"]\n',
            "stitch[0].sources",
            "*/A",
        ),
        (MINIMAL + MODEL, "sweep.toml", "Rename"),
        (MINIMAL.replace("train = { epochs = 1 }", ""), "models[0]", "Load the weights or train them"),
        (MINIMAL.replace('kind = "digits"', 'kind = "image_folder"'), "data", "root"),
        ("name = [", "sweep.toml", "Correct the file"),
    ],
)
def test_a_refusal_says_where_and_what_to_do(text, place, hint):
    error = refused(text)
    assert place in error.where
    assert hint in str(error)


@given(key=st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12))
def test_an_unknown_key_is_never_ignored(key):
    known = set(config.Sweep.model_fields)
    if key not in known:
        assert key in str(refused(f"{key} = 1\n" + MINIMAL))


def test_a_missing_file_is_one_message(tmp_path):
    with pytest.raises(config.ConfigError, match="quickstart"):
        config.load(tmp_path / "absent.toml")


def test_relative_paths_start_at_the_sweep_file(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text(MINIMAL.replace("train = { epochs = 1 }", 'weights = "nets/a.safetensors"'))
    assert config.load(path).models[0].weights == tmp_path / "nets" / "a.safetensors"
