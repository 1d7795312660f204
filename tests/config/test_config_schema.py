"""The JSON schema of the sweep file: valid itself, described throughout, and of one mind with the reading."""

from __future__ import annotations

import json
import tomllib
from importlib import resources
from pathlib import Path

import jsonschema
import pytest

from stitchpipe import config
from tests.cli import command
from tests.config import test_config_kinds as kinds
from tests.config.small_sweeps import (
    COMPARE,
    DATA,
    DM,
    MINIMAL,
    ORIGIN,
    ORIGINS,
    TLM,
    parsed,
    refused,
    with_data,
)

SCHEMA = config.sweep_schema()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
SWEEPS = Path(__file__).parents[1] / "golden" / "sweeps"


def complaints(text):
    return [error.message for error in VALIDATOR.iter_errors(tomllib.loads(text))]


def test_it_is_a_schema():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert SCHEMA["$id"].endswith("/sweep.schema.json")


@pytest.mark.parametrize("name", config.shipped())
def test_shipped_sweeps_are_valid(name):
    text = resources.files("stitchpipe").joinpath("sweeps", f"{name}.toml").read_text("utf-8")
    assert not complaints(text)
    assert not complaints(config.declared_toml(config.load(name)))


@pytest.mark.parametrize("path", sorted(SWEEPS.glob("*.toml")), ids=lambda path: path.stem)
def test_sweeps_of_every_kind_are_valid(path):
    assert not complaints(path.read_text("utf-8"))
    assert not complaints(config.declared_toml(config.load(path)))


@pytest.mark.parametrize(
    "text",
    [
        *map(with_data, DATA),
        *(MINIMAL.replace(ORIGIN, origin) for origin in ORIGINS),
        MINIMAL + COMPARE.replace('"cka"', '"gulp(0.1)"'),
        MINIMAL + DM + 'maps = ["affine", "low_rank(3)"]\n',
        MINIMAL + "[dump.augment]\npasses = 3\n" + TLM + "augmented = true\nseeds = [1, 2]\n",
        MINIMAL + DM + '[ood.detector]\nsanity = { kind = "image_folder", root = "r" }\n',
    ],
)
def test_what_is_read_is_valid(text):
    assert parsed(text)
    assert not complaints(text)


@pytest.mark.parametrize(
    "text",
    [
        MINIMAL.replace("[data]", "[dta]"),
        MINIMAL.replace("epochs", "epoch"),
        MINIMAL.replace("epochs = 1", "epochs = 0"),
        MINIMAL.replace("epochs = 1", 'epochs = "1"'),
        MINIMAL.replace('"digits"', '"digit"'),
        MINIMAL.replace(ORIGIN, ""),
        MINIMAL.replace(ORIGIN, "untrained = false"),
        MINIMAL.replace(ORIGIN, 'untrained = true\nweights = "a"'),
        MINIMAL.replace('"tiny"', '"../tiny"'),
        MINIMAL.replace('"tiny"', f'"{"a" * 121}"'),
        MINIMAL + COMPARE.replace("pooled", "poled"),
        MINIMAL + COMPARE.replace('"cka"', '"cka("'),
        MINIMAL + DM.replace('"A/*"', '"A"'),
        MINIMAL + DM + "steps = 5000\n",
        MINIMAL + TLM + 'maps = ["affine"]\n',
        MINIMAL + TLM + "learning_rate = 0.0\n",
        MINIMAL + "[dump]\npositions = 3\n",
        MINIMAL + '[dump]\nkeep = false\ncodec = "zstd"\n',
        MINIMAL + "[dump.augment]\ncrop = 3\n",
        MINIMAL + "[ood]\nneighbours = 3\n",
        MINIMAL + "[certainty]\npermutations = 0\n",
        MINIMAL + DM + '[ood.detector]\nauxiliary = "noize"\n',
        MINIMAL + "[run]\nworkers = 100000\n",
        with_data('kind = "image_folder"\nroot = "r"\nseed = 3'),
        with_data('kind = "image_folder"'),
        with_data('kind = "arrays"\nfiles = { tset = "a" }'),
    ],
)
def test_what_is_refused_is_refused_by_both(text):
    refused(text)
    assert complaints(text)


@pytest.mark.parametrize(("table", "own", "key", "other"), list(kinds.foreign_keys()))
def test_a_key_of_another_kind_is_refused_by_both(table, own, key, other):
    assert complaints(kinds.beside(table, own, key))


def described(tree, path=""):
    """Yield the path of every key of the schema, and whether there is something to read about it."""
    if isinstance(tree, list):
        for item in tree:
            yield from described(item, path)
        return
    for key, value in tree.get("properties", {}).items():
        target = value["allOf"][0]["$ref"].split("/")[-1] if "allOf" in value else ""
        yield f"{path}.{key}", bool(value.get("description") or SCHEMA["definitions"][target]["description"])
        yield from described(value, f"{path}.{key}")
    for key in ("items", "oneOf", "anyOf"):
        if key in tree:
            yield from described(tree[key], path)


def test_every_key_is_described():
    tables = {"": SCHEMA, **SCHEMA["definitions"]}
    keys = dict(found for name, table in tables.items() for found in described(table, name))
    assert len(keys) > 100
    assert [path for path, known in keys.items() if not known] == []
    assert all(table.get("description") for table in tables.values())


def test_defaults_that_the_schema_shows_are_those_of_the_file():
    sweep = parsed(MINIMAL + COMPARE + DM)
    for name in ("dump", "store", "ood", "certainty", "run"):
        table = getattr(sweep, name).model_dump(mode="json")
        properties = SCHEMA["definitions"][type(getattr(sweep, name)).__name__]["properties"]
        shown = {key: properties[key].get("default") for key in table}
        assert shown == table


def test_the_command_prints_it_or_writes_it(tmp_path):
    printed = command.stitchpipe("schema")
    assert printed.returncode == 0
    assert json.loads(printed.stdout) == SCHEMA
    path = tmp_path / "sweep.schema.json"
    assert "#:schema ./sweep.schema.json" in command.stitchpipe("schema", "--output", path).stdout
    assert json.loads(path.read_text("utf-8")) == SCHEMA
    (tmp_path / "file").write_text("")
    assert "expected a file that can be written" in command.refused(
        "schema", "-o", tmp_path / "file" / "x.json"
    )
