"""Where the command line writes: nothing that a name contains commands the terminal.

Names of models, layers and files come from elsewhere. One that holds an escape sequence could move the cursor, change
the title of the window, or hide what stands beside it. So whatever is shown passes through here, and characters that
are no text appear as their escapes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import ConsoleOptions, RenderableType

# C0 but tab and newline, DEL, C1, what reverses the direction of text, which can show one name as another, other ends
# of lines, and halves of characters, which stand for bytes of names that are no UTF-8 and cannot be written.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def visible(text: str) -> str:
    r"""Return a text in which every character that is none to look at stands as its escape: ``\x1b``."""
    return _UNSEEN.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class SafeConsole(Console):
    """A console whose own styles and controls reach the terminal, and no others."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as `rich.console.Console` does, with `visible` texts."""
        for segment in super().render(renderable, options):
            if segment.control or not _UNSEEN.search(segment.text):
                yield segment
            else:
                yield Segment(visible(segment.text), segment.style)
