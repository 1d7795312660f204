"""The last step: findings and the page, from the results that the sweep stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stitchpipe.config import Sweep
    from stitchpipe.sweep.folder import Folder


def report(sweep: Sweep, folder: Folder) -> dict[str, Any]:
    return {}
