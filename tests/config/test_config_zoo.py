"""Rules that name many models: what they expand to, how members are called, and everything wrong in one message."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stitchpipe import config
from tests.config.small_sweeps import MINIMAL, MODEL, parsed, refused

HEAD = 'name = "zoo"\ndata = { kind = "digits" }\n'
UNTRAINED = 'zoo = [{ models = ["installed:cifar_resnet"], untrained = true, seeds = [0, 3] }]\n'


def checkpoints(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_a_rule_becomes_models_that_remember_it(tmp_path):
    sweep = parsed(HEAD + UNTRAINED)
    assert sweep.labels == ("cifar_resnet@0", "cifar_resnet@3")
    assert [(model.untrained, model.seed) for model in sweep.models] == [(True, 0), (True, 3)]
    assert {model.rule for model in sweep.models} == {"installed:cifar_resnet"}
    assert {model.layers for model in sweep.models} == {("blocks:10",)}
    assert not sweep.is_open
    text = config.declared_toml(sweep)
    assert config.parse(text, where="again", folder=tmp_path) == sweep
    assert "zoo =" not in text


def test_literal_models_have_no_rule_and_come_first():
    sweep = parsed(MINIMAL.replace("[data]", UNTRAINED + "[data]"))
    assert [model.rule for model in sweep.models] == [
        None,
        "installed:cifar_resnet",
        "installed:cifar_resnet",
    ]


def test_layers_are_those_of_the_rule_then_of_dump():
    with_dump = HEAD + UNTRAINED + '[dump]\nlayers = "cuts:4"\n'
    assert parsed(with_dump).dump.layers == ("cuts:4",)
    assert {model.layers for model in parsed(with_dump).models} == {None}
    own = with_dump.replace("untrained = true", 'untrained = true, layers = ["stages", "conv1"]')
    assert {model.layers for model in parsed(own).models} == {("stages", "conv1")}


def test_libraries_give_published_weights_unless_it_is_said_otherwise():
    zoo = 'zoo = ["torchvision:resnet18", "timm:resnet18.a1*", "timm:vit_tiny_patch16_224"]\n'
    assert [(model.name, model.pretrained) for model in parsed(HEAD + zoo).models] == [
        ("resnet18", True),
        ("timm/resnet18.a1_in1k", "a1_in1k"),
        ("vit_tiny_patch16_224", True),
    ]


def test_a_size_is_told_to_those_that_are_built_for_one():
    zoo = (
        'zoo = [{ models = ["torchvision:vit_b_16", "torchvision:resnet18"], untrained = true, size = 32 }]\n'
    )
    assert [model.options for model in parsed(HEAD + zoo).models] == [{"image_size": 32}, {}]


def test_training_is_a_model_for_each_seed():
    zoo = 'zoo = [{ models = ["installed:cifar_resnet"], train = { epochs = 2 }, seeds = [1, 2] }]\n'
    assert [(model.name, model.train.epochs, model.train.seed) for model in parsed(HEAD + zoo).models] == [
        ("cifar_resnet@1", 2, 1),
        ("cifar_resnet@2", 2, 2),
    ]


def test_checkpoints_of_one_architecture_are_called_as_their_files(tmp_path):
    checkpoints(tmp_path, "nets/seed0.safetensors", "nets/seed1.safetensors")
    rule = '{ models = ["nets/*.safetensors"], architecture = "cifar_resnet", options = { in_channels = 1 } }'
    sweep = parsed(HEAD + f"zoo = [{rule}]\n", tmp_path)
    assert sweep.labels == ("seed0", "seed1")
    assert sweep.models[0].weights == tmp_path / "nets" / "seed0.safetensors"
    assert sweep.models[0].options == {"in_channels": 1}


def test_members_keep_their_names_when_the_rule_fits_more(tmp_path):
    checkpoints(tmp_path, "runs/b/last.pt")
    text = HEAD + 'zoo = [{ models = ["runs/*/last.pt"], architecture = "resnet18" }]\n'
    before = parsed(text, tmp_path).labels
    checkpoints(tmp_path, "runs/a/last.pt", "runs/c/last.pt")
    assert set(before) < set(parsed(text, tmp_path).labels)
    more = text.replace('"runs/*/last.pt"', '"runs/[ab]/last.pt", "runs/*/last.pt"')
    assert sorted(parsed(more, tmp_path).labels) == ["a", "b", "c"]


def test_a_glob_may_name_the_architecture(tmp_path):
    checkpoints(tmp_path, "resnet18-0.pt", "vgg11-0.pt")
    found = parsed(HEAD + 'zoo = ["{architecture}-*.pt"]\n', tmp_path).models
    assert [model.architecture for model in found] == ["resnet18", "vgg11"]
    zoo = 'zoo = [{ models = ["{net}-*.pt"], architecture = "timm/{net}" }]\n'
    assert parsed(HEAD + zoo, tmp_path).models[1].architecture == "timm/vgg11"


def test_folders_of_hugging_face_and_ids_are_members(tmp_path):
    checkpoints(tmp_path, "hub/a/config.json", "hub/b/config.json", "hub/c/other")
    sweep = parsed(HEAD + 'zoo = ["hf:hub/*", "hf:org/net"]\n', tmp_path)
    assert sweep.labels == ("a", "b", "org/net")
    assert sweep.models[0].architecture == f"hf/{tmp_path / 'hub' / 'a'}"
    assert sweep.models[2].architecture == "hf/org/net"


def test_a_declared_model_stands_for_the_member_of_its_name():
    zoo = 'zoo = ["torchvision:resnet18", "torchvision:resnet34"]\n'
    sweep = parsed(HEAD + zoo + MODEL.replace('"A"', '"resnet18"'))
    assert sweep.labels == ("resnet18", "resnet34")
    assert sweep.models[0].rule is None


def test_a_member_of_two_rules_is_one():
    zoo = 'zoo = ["torchvision:resnet18", "torchvision:resnet[13]*"]\n'
    assert parsed(HEAD + zoo).labels.count("resnet18") == 1
    told = refused(
        HEAD + 'zoo = ["torchvision:resnet18", { models = ["torchvision:resnet*"], layers = "cuts" }]\n'
    )
    assert "'resnet18' by 'torchvision:resnet*'" in str(told)
    assert "prefix" in told.remedy


def test_controls_may_be_of_members():
    control = '[[models]]\nname = "P"\ncontrol = { kind = "permuted", of = "cifar_resnet@3" }\n'
    assert parsed(HEAD + UNTRAINED + control).labels[0] == "P"
    assert "Did you mean 'cifar_resnet@" in str(refused(HEAD + UNTRAINED + control.replace("@3", "@4")))


@pytest.mark.parametrize(
    ("zoo", "said"),
    [
        ('["torchvision:resnt*"]', "zoo[0]"),
        ('["nets/*.pt"]', "no folder"),
        ('["torchvision:resnet18", { models = [] }]', "zoo[1].models"),
        ('[{ models = ["torchvision:resnet18"], seeds = [1] }]', "`seeds`"),
        (
            '[{ models = ["torchvision:resnet18"], untrained = true, pretrained = true }]',
            "pretrained and untrained",
        ),
        ('[{ models = ["torchvision:resnet18"], exclude = ["vgg*"] }]', "which fits no member"),
        ('[{ models = ["torchvision:resnet18"], exclude = ["res*"] }]', "all left out"),
        ('["installed:cifar_resnet"]', "untrained = true"),
        ('["hf:vit"]', "untrained = true"),
        ('[{ models = ["torchvision:resnet18"], architecture = "vgg11" }]', "globs over checkpoints alone"),
        ('[{ models = ["torchvision:resnet18"], layers = "cuts:0" }]', "a number of layers"),
        ('[{ model = ["torchvision:resnet18"] }]', "Did you mean 'models'"),
        ("[3]", "zoo[0]"),
        ("[]", "a model"),
    ],
)
def test_a_rule_that_names_nothing_is_refused(zoo, said):
    assert said in str(refused(HEAD + f"zoo = {zoo}\n"))


def test_checkpoints_without_an_architecture_are_refused_with_what_can_be_done(tmp_path):
    checkpoints(tmp_path, "a.pt", "b.pt")
    with pytest.raises(config.ConfigError, match=r"none for .*a.pt and 1 more.*architecture = 'resnet18'"):
        parsed(HEAD + 'zoo = ["*.pt"]\n', tmp_path)
    with pytest.raises(config.ConfigError, match=r"\{net\} in the glob"):
        parsed(HEAD + 'zoo = [{ models = ["*.pt"], architecture = "{net}" }]\n', tmp_path)


def test_every_mistake_of_rules_files_and_tables_is_in_one_message(tmp_path):
    checkpoints(tmp_path, "a.pt")
    (tmp_path / "more.toml").write_text('zoo = ["timm:vitt_tiny*", 4]\n[[models]]\nname = "B"\n', "utf-8")
    text = HEAD + 'zoo = ["torchvision:resnt*", "*.pt"]\ninclude = ["more.toml", "absent.toml"]\nmodls = 3\n'
    with pytest.raises(config.ConfigError) as caught:
        parsed(text, tmp_path)
    told = str(caught.value)
    for said in (
        "modls", "zoo[0]: ", "zoo[1]: ", "more.toml: zoo[0]", "more.toml: zoo[1]", "more.toml: models[0]", "include[1]"
    ):  # fmt: skip
        assert said in told


def test_an_included_sweep_gives_its_models_and_rules_from_its_own_folder(tmp_path):
    checkpoints(tmp_path, "zoos/nets/a.pt")
    shared = (
        'zoo = [{ models = ["nets/*.pt"], architecture = "resnet18" }]\n[data]\nkind = "digits"\n' + MODEL
    )
    (tmp_path / "zoos" / "shared.toml").write_text(shared, "utf-8")
    (tmp_path / "zoos" / "both.toml").write_text('include = ["shared.toml"]\n', "utf-8")
    sweep = parsed(HEAD + 'include = ["zoos/shared.toml", "zoos/both.toml"]\n', tmp_path)
    assert sweep.labels == ("A", "a")
    assert sweep.models[1].weights == tmp_path / "zoos" / "nets" / "a.pt"


def test_files_that_include_each_other_are_refused(tmp_path):
    (tmp_path / "a.toml").write_text(HEAD + 'include = ["b.toml"]\n', "utf-8")
    (tmp_path / "b.toml").write_text('include = ["a.toml"]\n', "utf-8")
    with pytest.raises(config.ConfigError, match=r"a.toml → b.toml → a.toml"):
        config.load(tmp_path / "a.toml")


def test_a_sweep_that_was_validated_by_itself_is_expanded_afterwards(tmp_path):
    (tmp_path / "more.toml").write_text(MODEL, "utf-8")
    table = {
        "name": "x",
        "data": {"kind": "digits"},
        "zoo": ["torchvision:resnet18"],
        "include": ["more.toml"],
    }
    sweep = config.Sweep.model_validate(table)
    assert sweep.is_open
    assert config.expanded(sweep, where="x", folder=tmp_path).labels == ("A", "resnet18")


@pytest.mark.parametrize("weights", ["s3://bucket/nets/a.safetensors", "file:///nets/a.pt"])
def test_checkpoints_may_be_urls(weights):
    model = MODEL.replace("train = { epochs = 1 }", f'weights = "{weights}"')
    sweep = parsed(HEAD + model, Path("/sweeps"))
    assert sweep.models[0].weights == weights
    assert parsed(config.declared_toml(sweep)) == sweep
    assert "s3://bucket/key" in str(refused(HEAD + model.replace(weights, "https://x/a.pt")))


def test_reading_a_sweep_without_rules_imports_no_library():
    code = (
        "import sys; from stitchpipe import config; config.load('quickstart'); "
        "print({'torch', 'torchvision', 'timm', 'transformers', 'zarr'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
