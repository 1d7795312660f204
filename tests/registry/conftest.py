"""Packages that are installed for a test: as pip leaves them, without a network."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from stitchpipe import registry
from stitchpipe.ood import SCORES
from stitchpipe.stitching import OBJECTIVES

EXAMPLE = Path(__file__).parent / "example_index"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a folder with a ``pyproject.toml``: its modules, and what it registers.

    Processes that the test starts find the package too.
    """
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))
    for offered in (registry._INDICES, SCORES, OBJECTIVES):
        monkeypatch.setattr(offered, "_loaded", {})
    registry._added.cache_clear()

    def installed(folder):
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        about = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        about.mkdir()
        head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        (about / "METADATA").write_text(head)
        lines = []
        for group, points in project["entry-points"].items():
            lines += [f"[{group}]", *(f"{name} = {what}" for name, what in points.items())]
        (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
        for module in folder.glob("*.py"):
            shutil.copy(module, site)
            monkeypatch.delitem(sys.modules, module.stem, raising=False)
        importlib.invalidate_caches()
        registry._added.cache_clear()

    yield installed
    registry._added.cache_clear()


@pytest.fixture
def write_package(tmp_path, install):
    """Return a function that writes and installs a package of one module which registers one thing, an index."""

    def written(name, source, package="other-indices", group="stitchpipe.indices"):
        folder = tmp_path / package
        folder.mkdir()
        module = package.replace("-", "_")
        (folder / f"{module}.py").write_text(source)
        (folder / "pyproject.toml").write_text(
            f'[project]\nname = "{package}"\nversion = "1.0"\n'
            f'[project.entry-points."{group}"]\n{name} = "{module}:INDEX"\n'
        )
        install(folder)

    return written


@pytest.fixture
def example(install):
    """Install the example package."""
    install(EXAMPLE)
