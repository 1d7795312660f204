"""The fenced blocks of a page, and the hidden comments that say what stands around them.

A comment of HTML before a block is read by nobody but these tests:

``<!-- setup``
    Python that is run before the block.
``<!-- sweep``
    The sweep that the tables of a block belong to.
``<!-- file NAME -->``
    The block is the content of that file, which later commands name.
``<!-- pyproject -->``
    The block stands in the ``pyproject.toml`` of another package.

A block of Python that cannot run says so and why behind its language: ```` ```python no-run (reason) ````.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_PART = re.compile(
    r"<!-- *(?P<kind>setup|sweep|file|pyproject)\b(?P<hidden>.*?)-->|"
    r"^```(?P<language>[a-z]+)(?P<remark>[^\n]*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A block, the line it begins at, and the comment before it."""

    line: int
    language: str
    remark: str
    text: str
    kind: str | None = None
    hidden: str = ""


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page in their order."""
    text, blocks, comment = page.read_text("utf-8"), [], None
    for part in _PART.finditer(text):
        if part["kind"]:
            assert comment is None, f"{page.name}: a hidden comment without a block: {comment}"
            comment = (part["kind"], part["hidden"])
            continue
        line = text.count("\n", 0, part.start()) + 1
        blocks.append(Block(line, part["language"], part["remark"].strip(), part["text"], *comment or ()))
        comment = None
    assert comment is None, f"{page.name}: a hidden comment without a block: {comment}"
    return blocks


def commands_of(block: Block) -> list[list[str]]:
    """Return the words of each command of a block of sh; a quoted word may run over several lines."""
    lexer = shlex.shlex(block.text.replace("\\\n", " "), posix=True, punctuation_chars="\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    commands: list[list[str]] = [[]]
    in_comment = False
    for word in lexer:
        if word.startswith("\n"):
            commands.append([])
            in_comment = False
        elif word.startswith("#") or in_comment:
            in_comment = True
        else:
            commands[-1].append(word)
    return [command for command in commands if command]
