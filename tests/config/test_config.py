"""Sweep files: what is accepted, and that a refusal says where, what, and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from stitchpipe import config
from stitchpipe.config import declared_toml
from tests.config.small_sweeps import DATA, MINIMAL, MODEL, ORIGIN, ORIGINS, refused, with_data


def test_the_shipped_quickstart_is_a_sweep():
    sweep = config.load("quickstart")
    assert sweep.labels == ("A", "B", "C")
    assert {table.view for table in sweep.compare} == {"positions", "pooled"}


@pytest.mark.parametrize("data", DATA)
def test_defaults_written_out_parse_back_to_the_same_sweep(data):
    text = with_data(data)
    for sweep in (config.load("quickstart"), config.parse(text, where="x", folder=Path())):
        assert config.parse(declared_toml(sweep), where="again", folder=Path()) == sweep
        assert TypeAdapter(config.Data).validate_json(sweep.data.model_dump_json()) == sweep.data


@pytest.mark.parametrize("data", DATA)
def test_keys_of_other_kinds_are_not_written_out(data):
    sweep = config.parse(with_data(data), where="x", folder=Path())
    written = set(sweep.data.model_dump())
    assert written <= set(type(sweep.data).model_fields)
    assert ("files" in written) == (sweep.data.kind == "arrays")
    assert ("test_fraction" in written) == (sweep.data.kind in ("digits", "flat_folder"))


def test_a_data_set_is_called_by_its_name_or_its_kind():
    assert [config.parse(with_data(data), where="x", folder=Path()).data.label for data in DATA] == [
        "digits",
        "digits",
        "image_folder",
        "FakeData",
        "arrays",
        "arrays",
        "flat_folder",
        "mine",
        "cells",
    ]


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
        (MINIMAL.replace('kind = "digits"', 'kind = "torchvision"'), "data", 'dataset = "CIFAR10"'),
        (MINIMAL.replace('kind = "digits"', 'kind = "arrays"'), "data", "files = { train"),
        (MINIMAL.replace('kind = "digits"', 'kind = "entry_point"'), "data", "dataset = "),
        (
            MINIMAL.replace('kind = "digits"', 'kind = "digits"\nfiles = { train = "a.npz" }'),
            "data.files",
            "found `files`, which belongs to kind = 'arrays'",
        ),
        (
            MINIMAL.replace('kind = "digits"', 'kind = "arrays"\nfiles = { train = "a" }\ndownload = true'),
            "data.download",
            "which belongs to kind = 'torchvision'",
        ),
        (
            MINIMAL.replace('kind = "digits"', 'kind = "digits"\nfile = {}'),
            "data.file",
            "Did you mean 'files'? It belongs to kind = 'arrays'.",
        ),
        (
            MINIMAL.replace(
                'kind = "digits"', 'kind = "arrays"\nfiles = {test = "a"}\ncolumns = {lable = "y"}'
            ),
            "data.columns",
            "'label'",
        ),
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


@pytest.mark.parametrize("origin", ORIGINS)
def test_a_model_has_one_origin_and_is_written_out_as_it_was(origin):
    sweep = config.parse(MINIMAL.replace(ORIGIN, origin), where="x", folder=Path("/sweeps"))
    assert config.parse(declared_toml(sweep), where="again", folder=Path("/else")) == sweep


@pytest.mark.parametrize(
    ("origin", "found"),
    [
        ("", "none for model 'A'"),
        ("pretrained = false", "none for model 'A'"),
        ("untrained = false", "none for model 'A'"),
        ('pretrained = true\nweights = "a.pt"', "weights and pretrained for model 'A'"),
        ("untrained = true\ntrain = {}", "train and untrained for model 'A'"),
        ("pretrained = true\nseed = 1", "`seed`, which belongs to `untrained`"),
        ("train = {}\nseed = 1", "`seed`, which belongs to `untrained`"),
        ("ingested = true\nuntrained = true", "untrained and ingested for model 'A'"),
        ('pretrained = ""', "''"),
        ("pretrained = 1", "1"),
    ],
)
def test_no_origin_or_two_are_refused(origin, found):
    error = refused(MINIMAL.replace(ORIGIN, origin))
    assert error.where.startswith("sweep.toml, models[0]")
    assert error.found == found


def test_folders_of_hugging_face_start_at_the_sweep_file():
    def model(architecture, pretrained):
        text = MINIMAL.replace(ORIGIN, f"pretrained = {pretrained}").replace("cifar_resnet", architecture)
        return config.parse(text, where="x", folder=Path("/sweeps")).models[0]

    assert model("hf/./nets/vit", "true").architecture == "hf//sweeps/nets/vit"
    assert model("hf/google/vit", "true").architecture == "hf/google/vit"
    assert model("hf/vit", '"../nets"').pretrained == "/nets"
    assert model("hf/vit", '"google/vit"').pretrained == "google/vit"


def named(name):
    return MINIMAL.replace('name = "tiny"', f"name = {json.dumps(name)}", 1)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("../escape", "with '/' in it"),
        ("/etc/passwd", "with '/' in it"),
        ("a\\b", "in it"),
        ("..", "'..'"),
        (".", "'.'"),
        (".hidden", "'.hidden'"),
        ("tail ", "'tail '"),
        ("a\nb", "control character"),
        ("a\x7fb", "control character"),
        ("a\u202eb", "control character"),
        ("a" * 121, "121 bytes"),
        ("ä" * 61, "122 bytes"),
        ("", "''"),
    ],
)
def test_a_name_that_is_no_folder_of_its_own_is_refused(name, found):
    error = refused(named(name))
    assert error.where == "sweep.toml, name"
    assert found in error.found


@pytest.mark.parametrize("name", ["tiny", "Übung 1", "a..b", "v1.2_x-y", "a" * 120])
def test_a_name_that_is_one_is_taken(name):
    assert config.parse(named(name), where="x", folder=Path()).name == name


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[run]\nworkers = 100000", "run.workers"),
        ("[run]\ntorch_threads = 9999", "run.torch_threads"),
        ("[dump]\nbatch_size = 9_999_999_999", "dump.batch_size"),
        ("[dump]\nrow_groups = 9_999_999_999", "dump.row_groups"),
        ("[dump]\nshard_mib = 9_999_999_999", "dump.shard_mib"),
        ("[certainty]\npermutations = 9_999_999_999", "certainty.permutations"),
        ("[ood]\nneighbours = 9_999_999_999", "ood.neighbours"),
    ],
)
def test_a_count_beyond_reason_is_refused(text, place):
    assert refused(f"{MINIMAL}\n{text}\n").where == f"sweep.toml, {place}"


def test_too_many_seeds_are_refused():
    seeds = ", ".join(map(str, range(1001)))
    stitch = f'[[stitch]]\nmethod = "tlm"\nsources = ["A/*"]\ntargets = ["A/*"]\nseeds = [{seeds}]\n'
    assert refused(MINIMAL + stitch).where == "sweep.toml, stitch[0].seeds"


def test_a_missing_file_is_one_message(tmp_path):
    with pytest.raises(config.ConfigError, match="quickstart"):
        config.load(tmp_path / "absent.toml")


def test_relative_paths_start_at_the_sweep_file(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text(MINIMAL.replace("train = { epochs = 1 }", 'weights = "nets/a.safetensors"'))
    assert config.load(path).models[0].weights == tmp_path / "nets" / "a.safetensors"


def test_files_of_arrays_start_at_the_sweep_file(tmp_path):
    data = 'kind = "arrays"\nfiles = { train = "a.npz", test = "/b.npy" }\nlabel_files = { test = "y/c.npy" }'
    path = tmp_path / "sweep.toml"
    path.write_text(with_data(data))
    loaded = config.load(path).data
    assert loaded.files == {"train": tmp_path / "a.npz", "test": Path("/b.npy")}
    assert loaded.label_files == {"test": tmp_path / "y" / "c.npy"}
