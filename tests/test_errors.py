"""Other people's errors in one line of our own messages."""

from __future__ import annotations

import pytest

from stitchpipe.errors import first_line, named_line


@pytest.mark.parametrize(
    ("error", "line", "named"),
    [
        (EOFError(), "EOFError", "EOFError"),
        (ValueError("  \n"), "ValueError", "ValueError"),
        (ValueError("one\ntwo"), "one", "ValueError: one"),
        (OSError(2, "No such file", "x"), "[Errno 2] No such file: 'x'", None),
    ],
)
def test_an_error_is_told_in_one_line(error, line, named):
    assert first_line(error) == line
    assert named_line(error) == (named or f"FileNotFoundError: {line}")
