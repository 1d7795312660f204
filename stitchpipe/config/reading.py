"""How a sweep file is read: TOML, validated, its rules expanded; one message has everything that is wrong in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from stitchpipe.config.expansion import USUAL_LAYERS, expanded_rule
from stitchpipe.config.including import Gathered, gathered
from stitchpipe.config.mistakes import Mistake, explained, mistakes_of
from stitchpipe.config.paths import located
from stitchpipe.config.study_tables import expanded_studies, merged
from stitchpipe.config.sweep import Sweep
from stitchpipe.config.text import read_table, read_text, shipped, shipped_text
from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.config.expansion import Network
    from stitchpipe.config.models import Model


def load(source: str | Path) -> Sweep:
    """Read a sweep from a TOML file, or one shipped with the package by its name (``"quickstart"``).

    Raises
    ------
    ConfigError
        The file is missing, is not TOML, or describes no valid sweep.
    """
    path = Path(source)
    if path.suffix != ".toml" and str(source) in shipped():
        return parse(shipped_text(str(source)), where=f"the shipped sweep '{source}'", folder=Path())
    return _parsed(read_text(path), str(path), path.parent, path)


def parse(text: str, *, where: str, folder: Path) -> Sweep:
    """Validate the text of a sweep and expand its rules; relative paths in it start at `folder`.

    Raises
    ------
    ConfigError
        The text is not TOML, or describes no valid sweep: with all mistakes that do not follow from each other.
    """
    return _parsed(text, where, folder, None)


def expanded(sweep: Sweep, *, where: str, folder: Path) -> Sweep:
    """Return a sweep with the models that its rules name and its included files have, in place of both.

    For a sweep that was validated without `load` or `parse`, such as a parameter of a flow; relative paths start at
    `folder`. Any other is returned as it is, with its paths resolved. Errors as `parse`.
    """
    if not sweep.is_open:
        return _resolve_paths(sweep, folder)
    table = sweep.model_dump(include={"zoo", "include"}, exclude_none=True)
    return _closed(sweep, gathered(table, folder, None), where, folder)


def from_table(table: dict[str, Any], *, where: str, folder: Path) -> Sweep:
    """Validate a sweep that is there as tables already, and expand its rules; errors as `parse`."""
    return _validated(table, where, folder, None)


def _parsed(text: str, where: str, folder: Path, home: Path | None) -> Sweep:
    return _validated(read_table(text, where), where, folder, home)


def _validated(table: dict[str, Any], where: str, folder: Path, home: Path | None) -> Sweep:
    try:
        sweep = Sweep.model_validate(table)
    except ValidationError as error:
        # Rules that are sound are tried all the same, so that one message has every mistake.
        more = gathered(table, folder, home)
        declared = table.get("dump")
        usual = None if isinstance(declared, dict) and "layers" in declared else USUAL_LAYERS
        _, mistakes = _members(more, usual)
        raise explained(where, [*mistakes_of(error.errors(), Sweep), *mistakes]) from None
    if not sweep.is_open:
        return _resolve_paths(sweep, folder)
    return _closed(sweep, gathered(table, folder, home), where, folder)


def _closed(sweep: Sweep, more: Gathered, where: str, folder: Path) -> Sweep:
    """Return a sweep with all its models, and no rules any more."""
    usual = None if "layers" in sweep.dump.model_fields_set else USUAL_LAYERS
    members, mistakes = _members(more, usual)
    own = (*sweep.models, *more.models)
    # A model that somebody declared stands for the one that a rule would name so.
    taken = {model.name for model in own}
    named: dict[str, Network] = {}
    for key_path, member in members:
        if member.name in taken:
            continue
        known = named.setdefault(member.name, member)
        if not _are_same(known, member):
            mistakes.append(_two_of_a_name(key_path, known, member))
    located_sweep = _resolve_paths(sweep, folder)
    models: tuple[Model, ...] = (*located_sweep.models, *more.models, *named.values())
    compare, stitch, amiss = expanded_studies(sweep.study, models)
    if mistakes or amiss:
        raise explained(where, [*mistakes, *amiss])
    declared = {
        key: getattr(located_sweep, key) for key in sweep.model_fields_set - {"zoo", "include", "study"}
    }
    if sweep.study:
        declared["compare"] = merged(sweep.compare, compare)
        declared["stitch"] = (*sweep.stitch, *(table for table in stitch if table not in sweep.stitch))
    try:
        return Sweep.model_validate({**declared, "models": models})
    except ValidationError as error:
        raise explained(where, mistakes_of(error.errors(), Sweep)) from None


def _members(
    more: Gathered, usual_layers: Sequence[str] | None
) -> tuple[list[tuple[str, Network]], list[Mistake]]:
    """Return the models that rules name, each with the place of its rule, and what is wrong with rules and files."""
    members: list[tuple[str, Network]] = []
    mistakes = list(more.mistakes)
    for each in more.rules:
        try:
            models = expanded_rule(each.rule, each.folder, usual_layers=usual_layers)
        except ExplainedError as error:
            mistakes.append(
                Mistake(each.key_path, error.expected, f"{error.found}, for {error.where}", error.remedy)
            )
        else:
            members += [(each.key_path, model) for model in models]
    return members, mistakes


def _are_same(model: Network, other: Network) -> bool:
    return model.model_copy(update={"rule": None}) == other.model_copy(update={"rule": None})


def _two_of_a_name(key_path: str, known: Network, member: Network) -> Mistake:
    return Mistake(
        key_path,
        f"members that differ in their names, or in nothing, from those of '{known.rule}'",
        f"'{member.name}' by '{member.rule}', declared otherwise",
        "Give one rule a `prefix`, or `exclude` it in one of them.",
    )


def _resolve_paths(sweep: Sweep, folder: Path) -> Sweep:
    store = sweep.store
    if store.url is not None and "://" not in store.url:
        store = store.model_copy(update={"url": str(located(Path(store.url), folder))})
    return sweep.model_copy(
        update={
            "models": tuple(model.starting_at(folder) for model in sweep.models),
            "data": sweep.data.starting_at(folder),
            "store": store,
            "ood": sweep.ood.starting_at(folder),
        }
    )
