"""Pages and parts of pages that are derived from the code when the documentation is built.

Everything is written below ``docs/generated``, which git ignores: parts that pages include, the Python interface, and
the decisions of every room as they stand beside its code.
"""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import measure_tables
import sweep_tables
from sphinx.pycode import ModuleAnalyzer

from stitchpipe.results import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent.parent
ROOT, GENERATED = HERE.parent, HERE / "generated"
MODULES = {
    "stitchpipe": "What most people need.",
    "stitchpipe.algebra": "The mathematics: plain functions over rows × features, and mergeable summaries.",
    "stitchpipe.asking": "A run opened for questions.",
    "stitchpipe.declaring": "Sweeps of Python objects.",
    "stitchpipe.run": "A sweep opened in its place.",
    "stitchpipe.results": "The columns of a result, the catalogue, questions to it, and fitted maps.",
    "stitchpipe.measures": "What there is to know of a measure, and its numbers.",
    "stitchpipe.errors": "The one shape of everything that a user can get wrong.",
    "storage": "The activation store, and the checked files beside it.",
}
"""Whose public names are documented, and what the page says above them."""
FRONT = ("Workspace", "open", "plan")
"""Names of `stitchpipe` that a room has too; they are documented once."""
NOT_OURS = "set_fit_request, set_predict_request, set_score_request"
"""Methods that scikit-learn adds to estimators."""
EXAMPLES = {
    "example_index": (
        "An index",
        "A sweep names it among its `indices`. A new version of the package computes its numbers again.",
    ),
    "example_score": (
        "An out-of-distribution score",
        "A sweep asks for it by its name, in `scores` of the table `[ood]`.",
    ),
    "example_objective": (
        "An objective of task loss matching",
        "A sweep names it among the `objectives` of a stitch.",
    ),
}
"""Packages of the tests that add something: what it is, and what becomes of it."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx looks for sources."""
    app.connect("builder-inited", lambda _: write_pages())
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_pages() -> None:
    """Write everything; files that would not change are left alone, so that Sphinx reads only what did."""
    pages = {
        "parts/indices.md": measure_tables.indices(),
        "parts/layers.md": measure_tables.layers(),
        "parts/fidelity.md": measure_tables.fidelity(),
        "parts/ood.md": measure_tables.out_of_distribution(),
        "parts/objectives.md": measure_tables.objectives(),
        "parts/columns.md": "\n".join(_columns()),
        "parts/sweep.md": sweep_tables.sections(),
        "parts/examples.md": "\n".join(_examples()),
        **{f"api/{module}.rst": "\n".join(_api(module, about)) for module, about in MODULES.items()},
        **{f"decisions/{name}.md": note.read_text("utf-8") for name, note in _notes()},
    }
    for name, text in pages.items():
        page = GENERATED / name
        page.parent.mkdir(parents=True, exist_ok=True)
        if not page.exists() or page.read_text("utf-8") != text:
            page.write_text(text, "utf-8")
    for page in GENERATED.rglob("*.*"):
        if str(page.relative_to(GENERATED)) not in pages:
            page.unlink()


def _columns() -> Iterator[str]:
    yield from ("| column | holds | may be null | meaning |", "|---|---|---|---|")
    for column in COLUMNS:
        meaning = column.meaning.replace("|", "\\|")
        yield f"| `{column.name}` | {column.kind} | {'yes' if column.is_nullable else ''} | {meaning} |"


def _examples() -> Iterator[str]:
    """Show the example packages of the tests, file by file."""
    for name, (what, about) in EXAMPLES.items():
        paths = sorted((ROOT / "tests" / "registry" / name).glob("*.*"), key=lambda path: path.suffix)
        if paths:
            yield from (f"## {what}", "", about, "")
        for path in paths:
            language = {".py": "python", ".toml": "toml"}[path.suffix]
            yield from (f"`{path.name}`:", "", f"```{language}", path.read_text("utf-8").strip(), "```", "")


def _api(name: str, about: str) -> Iterator[str]:
    """List the public names of a module; a room whose names are imported late has no members to find otherwise."""
    module = import_module(name)
    yield from (f"``{name}``", "=" * (len(name) + 4), "", about, "", f".. py:module:: {name}", "")
    front = [] if name == "stitchpipe" else [getattr(import_module("stitchpipe"), item) for item in FRONT]
    for member in _sorted(_public(module)):
        value = getattr(module, member)
        if inspect.ismodule(value) or member.startswith("_") or any(value is item for item in front):
            continue
        if inspect.isclass(value):
            yield from (
                f".. autoclass:: {name}.{member}",
                "   :members:",
                f"   :exclude-members: {NOT_OURS}",
                "",
            )
        elif inspect.isroutine(value):
            yield from (f".. autofunction:: {name}.{member}", "")
        else:
            yield from (f".. py:data:: {name}.{member}", "", *_about_data(name, member), "")


def _about_data(room: str, name: str) -> Iterator[str]:
    """Find the text below a constant where it is defined; autodoc looks for it only where it is exported."""
    for module in sorted(sys.modules):
        if module.startswith(room) and name in vars(sys.modules[module]):
            known = ModuleAnalyzer.for_module(module).find_attr_docs()
            if ("", name) in known:
                yield from (f"   {line}" for line in known["", name])
                return


def _public(module: ModuleType) -> list[str]:
    """Return the names that a module exports; one without a list of them exports what it defines."""
    own = [
        name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__
    ]
    return getattr(module, "__all__", own)


def _sorted(names: Iterable[str]) -> list[str]:
    """Order names as people look for them: functions, classes and constants apart, each by the alphabet."""
    return sorted(names, key=lambda name: (name.isupper(), name[:1].isupper(), name.lower()))


def _notes() -> Iterator[tuple[str, Path]]:
    """Find the decisions of all rooms."""
    for folder in ("stitchpipe", "storage", "flows"):
        for note in sorted((ROOT / folder).rglob("DESIGN.md")):
            yield ".".join(note.parent.relative_to(ROOT).parts), note
