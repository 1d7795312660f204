"""Which files a sweep consists of: its own, and those that it includes, each once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from stitchpipe.config.mistakes import Mistake, mistakes_of
from stitchpipe.config.models import Model
from stitchpipe.config.paths import located
from stitchpipe.config.refusal import ConfigError
from stitchpipe.config.section import Section
from stitchpipe.config.text import read_table, read_text
from stitchpipe.config.zoo import Zoo, ZooRule, as_rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class Included(Section):
    """What is taken of a file that a sweep includes; whatever else it says is another sweep's."""

    models: tuple[Model, ...] = ()
    zoo: tuple[Zoo, ...] = ()
    include: tuple[Annotated[str, Field(min_length=1)], ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as it stands in a file.

    Attributes
    ----------
    key_path
        Where: ``zoo[1]``, after the name of the file if that is included.
    folder
        Where its relative paths start.
    """

    key_path: str
    folder: Path
    rule: ZooRule


@dataclass(frozen=True)
class Gathered:
    """What the files of a sweep add to its own models."""

    models: tuple[Model, ...]
    rules: tuple[Rule, ...]
    mistakes: tuple[Mistake, ...]


def gathered(table: Mapping[str, Any], folder: Path, home: Path | None) -> Gathered:
    """Return the rules of a table, and the models and rules of the files that it includes; what is unsound is left out.

    Parameters
    ----------
    home
        The table's own file, which none that is included may include; None where it has none.
    """
    files = _Files([] if home is None else [home.resolve()])
    rules = list(_sound_rules(table.get("zoo"), folder, ""))
    files.add(table.get("include"), folder, "include")
    return Gathered(tuple(files.models), (*rules, *files.rules), tuple(files.mistakes))


class _Files:
    """Reads files that include others, each once; keeps what they say and what is wrong in them."""

    def __init__(self, above: Sequence[Path]) -> None:
        self.models: list[Model] = []
        self.rules: list[Rule] = []
        self.mistakes: list[Mistake] = []
        self._above, self._seen = list(above), set(above)

    def add(self, names: Any, folder: Path, key_path: str) -> None:
        """Add the files that a list names, if it is a list of names."""
        for number, name in enumerate(names if isinstance(names, list | tuple) else ()):
            if not isinstance(name, str) or not name:
                continue
            path, here = located(Path(name), folder), f"{key_path}[{number}]"
            if path in self._above:
                chain = [*self._above[self._above.index(path) :], path]
                self.mistakes.append(
                    Mistake(
                        here,
                        "files that do not include each other",
                        " → ".join(file.name for file in chain),
                        "Move what both need to a file of its own.",
                    )
                )
            elif path not in self._seen:
                self._seen.add(path)
                self._above.append(path)
                self._read(path, here)
                self._above.pop()

    def _read(self, path: Path, key_path: str) -> None:
        try:
            table = read_table(read_text(path), str(path))
        except ConfigError as error:
            self.mistakes.append(Mistake(key_path, error.expected, f"{error.found} ({path})", error.remedy))
            return
        taken = {key: table[key] for key in Included.model_fields if key in table}
        if not taken:
            self.mistakes.append(
                Mistake(key_path, "models, or rules in `zoo`", f"neither in {path}", "Remove it.")
            )
        try:
            self.models += [model.starting_at(path.parent) for model in Included.model_validate(taken).models]
        except ValidationError as error:
            for mistake in mistakes_of(error.errors(), Included):
                self.mistakes.append(mistake.inside(path.name))
        self.rules += _sound_rules(taken.get("zoo"), path.parent, f"{path.name}: ")
        self.add(taken.get("include"), path.parent, f"{path.name}: include")


_RULE: TypeAdapter[str | ZooRule] = TypeAdapter(Zoo)


def _sound_rules(rules: Any, folder: Path, file: str) -> Iterator[Rule]:
    """Yield the rules of a list that can be expanded; the others are refused where the whole table is."""
    for number, written in enumerate(rules if isinstance(rules, list | tuple) else ()):
        try:
            rule = as_rule(_RULE.validate_python(written))
        except ValidationError:
            continue
        yield Rule(f"{file}zoo[{number}]", folder, rule)
