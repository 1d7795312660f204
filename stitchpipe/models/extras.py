"""Optional dependencies: one message where they are not installed."""

from __future__ import annotations

from importlib.util import find_spec

from stitchpipe.models.errors import ArchitectureError

PACKAGES = {"timm": "timm", "hf": "transformers"}
"""Extra → the package that it installs."""


def demanded(extra: str, architecture: str) -> None:
    """Refuse an architecture whose library is not installed, and say how to install it."""
    if find_spec(PACKAGES[extra]) is None:
        raise ArchitectureError(
            where=f"architecture '{architecture}'",
            expected=f"the package {PACKAGES[extra]}",
            found="that it is not installed",
            remedy=f"Run: pip install 'stitchpipe[{extra}]'",
        )
