"""Looks at what is installed, against what the distribution says that it needs."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, distribution, version
from typing import TYPE_CHECKING, Final

from packaging.requirements import Requirement

from stitchpipe.steps.checkup.check import Look, ok, problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stitchpipe.steps.checkup.check import Check

_SUBJECT: Final = "installation"
_SHOWN: Final = (
    "torch",
    "torchvision",
    "zarr",
    "obstore",
    "dask",
    "distributed",
    "prefect",
    "duckdb",
    "numpy",
)
"""Packages whose versions are told in any case; of all others only where they are wrong."""


def looks_at_installation() -> tuple[Look, ...]:
    """Return the looks at Python and the packages."""
    return (Look(_SUBJECT, "python", _python), Look(_SUBJECT, "packages", _packages))


def _python() -> Iterator[Check]:
    needed = distribution("stitchpipe").metadata["Requires-Python"] or ""
    found = f"{platform.python_version()}, stitchpipe {version('stitchpipe')}"
    if Requirement(f"python{needed}").specifier.contains(platform.python_version(), prereleases=True):
        yield ok(_SUBJECT, "python", found)
    else:
        yield problem(_SUBJECT, "python", found, f"Install a Python {needed}, and stitchpipe into it.")


def _packages() -> Iterator[Check]:
    needed = [Requirement(text) for text in distribution("stitchpipe").requires or []]
    needed = [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = [(one, there) for one in needed if (there := _wrong(one)) is not None]
    for requirement, there in wrong:
        yield problem(
            _SUBJECT,
            requirement.name,
            f"{there}, where {requirement.specifier or 'any version'} is needed",
            "Install the versions of requirements.lock: `make install`.",
        )
    if not wrong:
        told = ", ".join(f"{name} {version(name)}" for name in _SHOWN)
        yield ok(_SUBJECT, "packages", f"all {len(needed)} as needed: {told}")


def _wrong(requirement: Requirement) -> str | None:
    """Return what there is instead of what is needed; None where that is there."""
    try:
        there = version(requirement.name)
    except PackageNotFoundError:
        return "none"
    return None if requirement.specifier.contains(there, prereleases=True) else there
