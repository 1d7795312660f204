"""What is wrong with a sweep file is said once, and all of it at once."""

from __future__ import annotations

import pytest

from stitchpipe import config
from tests.config.small_sweeps import COMPARE, MINIMAL, MODEL, ORIGIN, TLM, parsed, refused


def test_independent_mistakes_are_listed():
    text = (
        MINIMAL.replace("epochs = 1", "epochs = 0")
        + COMPARE.replace("pooled", "poled")
        + "[run]\nworker = 3\n"
    )
    error = refused(text)
    assert (error.where, error.found) == ("sweep.toml", "3 mistakes")
    lines = str(error).splitlines()
    assert len(lines) == 4
    assert {line.split(":")[0] for line in lines[1:]} == {
        "- models[0].train.epochs",
        "- compare[0].view",
        "- run.worker",
    }
    assert any("Did you mean 'pooled'?" in line for line in lines)
    assert any("Did you mean 'workers'?" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (MINIMAL.replace("architecture", "arhitecture"), "models[0].arhitecture"),
        (MINIMAL.replace("[data]", "[dta]"), "dta"),
        (MINIMAL.replace('kind = "digits"', 'knd = "digits"'), "data.knd"),
        (MINIMAL.replace("train =", "trian ="), "models[0].trian"),
        (MINIMAL + TLM.replace("method", "metod"), "stitch[0].metod"),
        (MINIMAL + COMPARE.replace('"cka"', '"ckaa"'), "compare[0].indices[0]"),
        (MINIMAL.replace(ORIGIN, "pretrained = 3"), "models[0].pretrained"),
        (MINIMAL.replace(ORIGIN, 'weights = "a"\nseed = 1'), "models[0].seed"),
    ],
)
def test_what_follows_from_a_mistake_is_no_other(text, place):
    error = refused(text)
    assert error.where == f"sweep.toml, {place}"
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (MINIMAL.replace("train =", "trian ="), "Did you mean 'train'?"),
        (MINIMAL.replace("train =", "qqqq ="), "'weights' or 'pretrained' or 'train'"),
        (MINIMAL.replace("architecture", "qqqq"), "Did you mean 'architecture', which is missing?"),
        (MINIMAL + TLM.replace('method = "tlm"', "steps = 3"), "Add method = 'tlm'."),
        (MINIMAL.replace('"digits"', "3"), "'digits', 'image_folder'"),
        (MINIMAL.replace('[data]\nkind = "digits"', "data = 3"), "expected a table, found 3"),
        (MINIMAL.replace(MODEL, "[[models]]\nname = 3\nuntrained = true\n"), "2 mistakes"),
        (MINIMAL.replace(ORIGIN, "untrained = 1"), "expected true, found 1"),
        (MINIMAL.replace(ORIGIN, "pretrained = 3"), "expected true or text in quotes, found 3"),
        (MINIMAL + "[[compare]]\n", "Add view = "),
        (MINIMAL + '[run]\nworkers = "3"\n', "run.workers: expected a whole number, found '3'"),
        (MINIMAL + "[run]\nworkers = 3.0\n", "run.workers: expected a whole number, found 3.0"),
        (MINIMAL + '[dump]\ntf32 = "yes"\n', "dump.tf32: expected true or false, found 'yes'"),
        (MINIMAL + f"[run]\nworkers = {[1] * 1000}\n", "…"),
    ],
)
def test_a_mistake_is_told_in_the_words_of_the_file(text, said):
    assert said in str(refused(text))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"\xef\xbb\xbf" + MINIMAL.encode(), "a byte order mark at its beginning"),
        (MINIMAL.encode("utf-16"), "a byte order mark at its beginning"),
        (b'name = "\xff"', "text that is not UTF-8, at byte 8"),
        (b"#" * (16 * 2**20 + 1), "at most 16 MiB"),
        (b"a = " + b"[" * 50_000 + b"]" * 50_000, "at most 32 deep"),
        (b"a = " + b"[" * 40 + b"]" * 40, "at most 32 deep"),
        (b"a" + b".a" * 100 + b" = 1", "at most 32 deep"),
        (b"a = " + b"1" * 5000, "expected TOML"),
        (b"name = [", "expected TOML"),
    ],
)
def test_a_file_that_is_no_sweep_is_one_clear_message(tmp_path, raw, said):
    path = tmp_path / "sweep.toml"
    path.write_bytes(raw)
    with pytest.raises(config.ConfigError) as caught:
        config.load(path)
    assert caught.value.where == str(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_long_list_of_mistakes_is_cut():
    models = "".join(MODEL.replace('"A"', f'"{n}"').replace("epochs = 1", "epochs = 0") for n in range(50))
    lines = str(refused(MINIMAL + models)).splitlines()
    assert len(lines) == 22
    assert "50 mistakes" in lines[0]
    assert lines[-1] == "- … and 30 more"


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("{ a = 2020-01-01 }", "a = 2020-01-01"),
        ("{ a = { b = [1, inf] } }", "a.b = inf"),
        ("{ a = nan }", "a = nan"),
    ],
)
def test_options_that_no_record_gives_back_are_refused(options, found):
    error = refused(MINIMAL.replace(ORIGIN, f"options = {options}\n{ORIGIN}"))
    assert (error.where, error.found) == ("sweep.toml, models[0].options", found)


def test_a_folder_is_no_sweep(tmp_path):
    with pytest.raises(config.ConfigError, match="Is a directory"):
        config.load(tmp_path)


def test_tables_may_stand_in_each_other_as_deep_as_options_need():
    deep = "{ a = " * 20 + "1" + " }" * 20
    assert parsed(MINIMAL.replace(ORIGIN, f"options = {{ a = {deep} }}\n{ORIGIN}")).labels == ("A",)
