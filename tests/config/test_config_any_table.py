"""Whatever a sweep file holds, it is read or refused in the project's own words: never a traceback."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from stitchpipe.config import ConfigError, parse
from stitchpipe.config.reading import from_table

KEYS = (
    "name", "data", "kind", "models", "architecture", "untrained", "train", "weights", "control", "shape", "options",
    "compare", "view", "indices", "stitch", "method", "sources", "targets", "seeds", "dump", "layers", "zoo", "run",
    "certainty", "ood", "detector", "study", "store", "url", "size", "limit", "seed", "include",
)  # fmt: skip
WORDS = (
    "digits",
    "pooled",
    "cka",
    "gulp(1e999)",
    "dm",
    "tlm",
    "A/*",
    "cuts:9999999999",
    "random_codes",
    "\x1b[31m",
    "",
    "\ud800",
)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(WORDS), st.text(max_size=8)
)
TABLES = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(KEYS), TABLES, max_size=6))
def test_no_table_raises_anything_else(table):
    with suppress(ConfigError):
        from_table({"name": "x", "data": {"kind": "digits"}, **table}, where="x", folder=Path("/nowhere"))


@given(st.text(alphabet="[]{}=\"'\n,.0123456789aename#\\ue-", max_size=60))
def test_no_text_raises_anything_else(text):
    with suppress(ConfigError):
        parse(text, where="x", folder=Path("/nowhere"))
