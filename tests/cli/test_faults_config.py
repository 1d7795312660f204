"""Misspelt and unknown keys anywhere in a sweep file: exit 2, one message with the key's path, before any work."""

from __future__ import annotations

import tomllib
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.command import stitchpipe
from tests.tiny_sweep import TINY

SWEEP = tomllib.loads(TINY)
LETTERS = "abcdefghijklmnopqrstuvwxyz_"


def keys_of(table, path=()):
    """Yield the path of every key of a sweep, tables of tables too."""
    for key, value in table.items() if isinstance(table, dict) else enumerate(table):
        if isinstance(key, str):
            yield (*path, key)
        if isinstance(value, dict | list) and value and not isinstance(value, str):
            yield from keys_of(value, (*path, key)) if not _plain(value) else ()


def _plain(value):
    return isinstance(value, list) and not isinstance(value[0], dict)


PATHS = [path for path in keys_of(SWEEP) if "options" not in path[:-1]]


@st.composite
def misspelt(draw):
    """A key of the sweep with a letter more, less, changed or moved; or one that nobody knows."""
    path = draw(st.sampled_from(PATHS))
    key = path[-1]
    at, letter = draw(st.integers(0, len(key) - 1)), draw(st.sampled_from(LETTERS))
    wrong = draw(
        st.sampled_from(
            [
                key[:at] + letter + key[at:],
                key[:at] + key[at + 1 :],
                key[:at] + letter + key[at + 1 :],
                key[:at] + key[at : at + 2][::-1] + key[at + 2 :],
                draw(st.text(LETTERS, min_size=3, max_size=12)),
            ]
        )
    )
    return path, wrong


def written(table):
    """Return a sweep as TOML."""

    def inline(value):
        if isinstance(value, dict):
            return "{ " + ", ".join(f'"{key}" = {inline(item)}' for key, item in value.items()) + " }"
        if isinstance(value, list):
            return "[" + ", ".join(map(inline, value)) + "]"
        return f'"{value}"' if isinstance(value, str) else str(value).lower()

    return "\n".join(f'"{key}" = {inline(value)}' for key, value in table.items())


def changed(path, wrong):
    """Return the sweep with one key spelt otherwise."""

    def copy(value, rest):
        if isinstance(value, dict):
            return {
                (wrong if rest == (key,) else key): copy(item, rest[1:] if rest[:1] == (key,) else ())
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [copy(item, rest[1:] if rest[:1] == (i,) else ()) for i, item in enumerate(value)]
        return value

    return copy(SWEEP, path)


def siblings(path):
    table = SWEEP
    for step in path[:-1]:
        table = table[step]
    return set(table)


def test_the_sweep_that_is_misspelt_below_is_one(tmp_path):
    assert tomllib.loads(written(SWEEP)) == SWEEP


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(mistake=misspelt())
def test_a_key_nobody_knows_is_one_message_before_any_work(tmp_path, mistake):
    path, wrong = mistake
    if wrong == path[-1] or wrong in siblings(path) or not wrong or known(path, wrong):
        return
    sweep = tmp_path / "sweep.toml"
    sweep.write_text(written(changed(path, wrong)), "utf-8")
    ended = stitchpipe("run", sweep, "--out", tmp_path / "run")
    said = ended.stdout + ended.stderr
    assert ended.returncode == 2, said
    assert "Traceback" not in said
    assert said.count("\n") == 1, said
    assert wrong in said
    assert not Path(tmp_path, "run").exists()


def known(path, wrong):
    """Return whether a misspelling happens to be another key of the same table."""
    return wrong in {"part", "init", "name", "kind", "seed", "root", "lr", "steps", "views", "store"}
