"""Tables of several kinds: each kind's own keys, and no key that would do nothing."""

from __future__ import annotations

import re
from itertools import permutations
from typing import get_args

import pytest
from pydantic import TypeAdapter

from stitchpipe import config
from stitchpipe.config import declared_toml
from tests.config.small_sweeps import COMPARE, DM, MINIMAL, MODEL, ORIGIN, TLM, parsed, refused, with_data

KINDS = {
    "data": {
        "kind = 'digits'": with_data('kind = "digits"'),
        "kind = 'image_folder'": with_data('kind = "image_folder"\nroot = "r"'),
        "kind = 'flat_folder'": with_data('kind = "flat_folder"\nroot = "r"'),
        "kind = 'torchvision'": with_data('kind = "torchvision"\ndataset = "CIFAR10"'),
        "kind = 'arrays'": with_data('kind = "arrays"\nfiles = { test = "a.npz" }'),
        "kind = 'entry_point'": with_data('kind = "entry_point"\ndataset = "cells"'),
        "kind = 'object'": with_data('kind = "object"\nname = "mine"\ndigests = { test = "ab" }'),
        "kind = 'store'": with_data('kind = "store"\nname = "there"'),
    },
    "stitch": {
        "method = 'dm'": MINIMAL + DM,
        "method = 'tlm'": MINIMAL + TLM,
    },
    "models": {
        "`weights`": MINIMAL.replace(ORIGIN, 'weights = "a.pt"'),
        "`pretrained`": MINIMAL.replace(ORIGIN, "pretrained = true"),
        "`train`": MINIMAL,
        "`untrained`": MINIMAL.replace(ORIGIN, "untrained = true"),
        "`object`": MINIMAL.replace(ORIGIN, "object = true"),
        "`ingested`": MINIMAL.replace('architecture = "cifar_resnet"\n', "").replace(
            ORIGIN, "ingested = true"
        ),
        "`control`": MINIMAL.replace('architecture = "cifar_resnet"\n', "").replace(
            ORIGIN, 'control = { kind = "random_codes" }'
        ),
    },
}
"""A table of each kind, by how a message calls it."""
UNIONS = {"data": config.Data, "stitch": config.Stitch, "models": config.Model}
VALUES = {
    "limit": "3", "size": "3", "mean": "[0.5]", "std": "[0.5]", "seed": "1", "test_fraction": "0.5", "root": '"r"',
    "dataset": '"d"', "options": "{}", "splits": "{}", "download": "true", "channels": "1",
    "files": '{ test = "a.npz" }',
    "label_files": "{}", "columns": "{}", "layout": '"NHW"', "maps": '["affine"]', "init": '["random"]',
    "objectives": '["fula"]', "augmented": "false", "autocast": '"none"', "compiled": "true", "seeds": "[1]",
    "steps": "5000", "batch_size": "3", "learning_rate": "0.1", "weight_decay": "0.1", "architecture": '"x"',
    "fingerprints": '["ab"]', "rule": '"r"', "digests": '{ test = "ab" }',
    "groups": '"g.csv"',
}  # fmt: skip
TOLD_BY = {"kind", "method", "weights", "pretrained", "train", "untrained", "object", "ingested", "control"}


def sections(union):
    """Return the sections of a union, from ``Annotated[Annotated[A, …] | B, …]``."""
    return [get_args(choice)[0] if get_args(choice) else choice for choice in get_args(get_args(union)[0])]


def foreign_keys():
    """Yield table, kind, key of another kind, and that kind: all that there are."""
    for table, union in UNIONS.items():
        labelled = dict(zip(KINDS[table], sections(union), strict=True))
        for (own, section), (other, theirs) in permutations(labelled.items(), 2):
            for key in sorted(set(theirs.model_fields) - set(section.model_fields) - TOLD_BY):
                yield pytest.param(table, own, key, other, id=f"{key} of {other} beside {own}")


def beside(table, own, key):
    """Return a sweep with a key more in the table of one kind."""
    line = f"{key} = {VALUES[key]}\n"
    text = KINDS[table][own]
    head = {"data": "[data]\n", "stitch": "[[stitch]]\n", "models": "[[models]]\n"}[table]
    return text.replace(head, head + line, 1)


@pytest.mark.parametrize(("table", "own", "key", "other"), list(foreign_keys()))
def test_a_key_of_another_kind_is_refused_with_the_kind_it_belongs_to(table, own, key, other):
    error = refused(beside(table, own, key))
    path = {"data": "data", "stitch": "stitch[0]", "models": "models[0]"}[table]
    assert error.where == f"sweep.toml, {path}.{key}"
    assert f"`{key}`, which belongs to " in error.found
    assert other in error.found
    assert own in error.expected


def test_what_task_loss_matching_takes_is_not_passed_over_beside_direct_matching():
    error = refused(MINIMAL + DM + 'steps = 5000\nobjectives = ["fula"]\n')
    assert "stitch[0].steps: expected keys of method = 'dm'" in str(error)
    assert "found `steps`, which belongs to method = 'tlm'" in str(error)
    assert "found `objectives`, which belongs to method = 'tlm'" in str(error)


@pytest.mark.parametrize("table", UNIONS)
def test_a_section_is_read_back_as_what_it_was(table):
    adapter = TypeAdapter(UNIONS[table])
    for text, section in zip(KINDS[table].values(), sections(UNIONS[table]), strict=True):
        stored = 'kind = "store"' in text  # networks cannot run on it
        sweep = parsed(
            text.replace("architecture", "#").replace(ORIGIN, "ingested = true") if stored else text
        )
        found = getattr(sweep, table)
        found = found[0] if isinstance(found, tuple) else found
        assert type(found) is section
        assert adapter.validate_json(found.model_dump_json()) == found
        assert parsed(declared_toml(sweep)) == sweep


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (
            '[dump]\nview = "pooled"\npositions = 3\n',
            "dump",
            "`view = 'positions'` beside `positions`.*view = 'pooled'",
        ),
        ("[dump]\npositions_seed = 3\n", "dump", "beside `positions_seed`.*found view = 'full'"),
        ('[dump]\nkeep = false\ncodec = "zstd"\n', "dump", "`keep = true` beside `codec`"),
        ("[dump]\nkeep = false\nchunk_kib = 3\n", "dump", "`keep = true` beside `chunk_kib`"),
        ("[dump]\nkeep = false\naugment = { passes = 2 }\n", "dump", "`keep = true` beside `augment`"),
        ("[dump]\nkeep = false\n[store]\nbudget_gib = 3\n", "", "store.budget_gib"),
        ("[dump.augment]\ncrop = 3\n", "dump.augment.passes", "Add passes = 5"),
        ("[dump.augment]\npasses = 2\n" + TLM, "", "no augmented split would be made"),
        (TLM + "augmented = true\n", "", r"\[dump.augment\]"),
        ("[ood]\nneighbours = 3\n" + COMPARE, "", "`stitch` beside `ood`"),
        ("[certainty]\npermutations = 0\n" + DM, "", "`compare` beside `certainty`"),
    ],
)
def test_a_key_that_nothing_would_read_is_refused(text, place, said):
    error = refused(MINIMAL + text)
    assert error.where == f"sweep.toml, {place}".removesuffix(", ")
    assert re.search(said, str(error))


@pytest.mark.parametrize(
    ("data", "place", "said"),
    [
        ('kind = "image_folder"\nroot = "r"\nseed = 3', "data", "`limit` beside `seed`"),
        ('kind = "arrays"\nfiles = { tset = "a.npz" }', "data.files.tset", "Did you mean 'test'?"),
        (
            'kind = "arrays"\nfiles = { test = "a.npy" }\nlabel_files = { train = "y.npy" }',
            "data",
            "`label_files.train` without `files.train`",
        ),
        (
            'kind = "arrays"\nfiles = { test = "a.npy" }\ncolumns = { label = "y" }',
            "data",
            "Remove `columns`",
        ),
        ('kind = "arrays"\nfiles = { test = "a.parquet" }\nlayout = "NHW"', "data", "Remove `layout`"),
    ],
)
def test_a_key_of_data_that_nothing_would_read_is_refused(data, place, said):
    error = refused(with_data(data))
    assert error.where == f"sweep.toml, {place}"
    assert said in str(error)


def test_a_dump_of_nothing_is_refused():
    text = 'name = "x"\ndata = { kind = "store", name = "d" }\n[[models]]\nname = "A"\ningested = true\n'
    assert "dump" not in parsed(text).model_dump()
    assert "a model that is dumped" in str(refused(text + "[dump]\ndtype = 'float16'\n"))


@pytest.mark.parametrize("extra", ["", COMPARE, DM, "[dump]\nkeep = false\n" + COMPARE])
def test_what_nothing_reads_is_not_written_out(extra):
    sweep = parsed(MINIMAL + extra)
    text = declared_toml(sweep)
    assert parsed(text) == sweep
    assert ("[ood]" in text) == ("[[stitch]]" in text)
    assert ("[certainty]" in text) == ("[[compare]]" in text)
    assert ("codec" in text) == sweep.dump.keep
    assert "positions_seed" not in text


def test_two_models_of_one_name_stay_refused():
    assert "A more than once" in str(refused(MINIMAL + MODEL))
