"""Under which names the files of a report lie, and what of its page changes where a server hands it out.

Light, so that a server starts at once: neither tables nor figures are imported.
"""

from __future__ import annotations

from typing import Final

from markupsafe import escape

PAGE: Final = "index.html"
VALUES: Final = "values"
"""The folder of blocks beside a page that is too large to hold them."""
SERVED_NAME: Final = f"{VALUES}/{{}}.bin"
OFFLINE: Final = "default-src 'none'; "
"""How the policy of a page begins that needs nothing from anywhere."""


def served(page: bytes) -> bytes:
    """Return a page as a server hands it out: it may fetch from where it came from, and from nowhere else."""
    # In the page the policy stands in an attribute, with its quotation marks escaped.
    offline, online = (str(escape(rule)).encode() for rule in (OFFLINE, f"{OFFLINE}connect-src 'self'; "))
    return page.replace(offline, online, 1)
