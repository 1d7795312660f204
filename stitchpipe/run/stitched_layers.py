"""Which layers the globs of stitches match."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stitchpipe.config import ConfigError, layer_word
from stitchpipe.errors import nearest
from stitchpipe.globs import meant_by
from stitchpipe.graph import members_of
from stitchpipe.run.names import LayerName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.config import Stitch
    from stitchpipe.run.layers import LayerTable


@dataclass(frozen=True)
class StitchedLayers:
    """The layers that globs of stitches may match, and the models that are left out of the sweep."""

    table: LayerTable
    left_out: frozenset[str]

    def matching(self, patterns: Sequence[str], where: str) -> list[LayerName]:
        """Return the layers that some globs match, each once; one that matches nothing that is there is refused."""
        names = [LayerName(model, info.name) for model, infos in self.table.items() for info in infos]
        chosen: dict[LayerName, None] = {}
        for pattern in patterns:
            model_glob, layer_glob = model_and_layer(pattern)
            models = set(meant_by(model_glob, self.table.keys()))
            hits = [
                name for name in names if name.model in models and fnmatch.fnmatchcase(name.layer, layer_glob)
            ]
            if not hits and not meant_by(model_glob, self.left_out):
                raise self._unmatched(pattern, model_glob, names, where)
            chosen |= dict.fromkeys(hits)
        return list(chosen)

    def is_narrowed(self, declared: Stitch) -> bool:
        """Whether a table of stitches names a model that is left out."""
        patterns = (*declared.sources, *declared.targets)
        return any(meant_by(model_and_layer(pattern)[0], self.left_out) for pattern in patterns)

    def _unmatched(
        self, pattern: str, model_glob: str, names: Sequence[LayerName], where: str
    ) -> ConfigError:
        if len(members_of(model_and_layer(pattern)[1])) > 1:
            return ConfigError(
                where=where,
                expected="layers one by one: stitches begin and end at a single layer",
                found=f"'{pattern}', a joint cut",
                remedy="Take a cut before or behind it as the target; `stitchpipe.graph.tail` runs from a joint cut.",
            )
        models = [*self.table, *sorted(self.left_out)]
        shown = next(iter(meant_by(model_glob, self.table.keys())), None)
        if shown is None:
            known, listed = models, _listed("Models are", models)
        else:
            known = list(map(str, names))
            listed = _listed(f"Layers of {shown} are", [info.name for info in self.table[shown]])
        meant = nearest(pattern if shown else model_glob, known)
        return ConfigError(
            where=where,
            expected="a glob over MODEL/LAYER that matches a dumped layer",
            found=f"'{pattern}'",
            remedy=f"{meant} {listed}".lstrip(),
        )


@dataclass(frozen=True)
class NamedLayers:
    """The layers that a table of stitches names one by one, and not by globs or words."""

    sources: frozenset[str]
    targets: frozenset[str]

    @classmethod
    def of(cls, declared: Stitch) -> NamedLayers:
        """Sort the patterns of a table as it is declared."""
        return cls(_literal(declared.sources), _literal(declared.targets))

    def asks_for(self, source: LayerName, target: LayerName, *, is_cut: bool) -> bool:
        """Whether somebody named what cannot be stitched: a target that is no cut, or both ends that do not fit."""
        return str(target) in self.targets and (str(source) in self.sources or not is_cut)


def _listed(what: str, names: Sequence[str], most: int = 20) -> str:
    """Return a sentence that lists names, and counts those that are too many to list."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{what} {', '.join(names[:most])}{more}."


def model_and_layer(pattern: str) -> tuple[str, str]:
    """Return a glob over models and one over layers."""
    model_glob, _, layer_glob = pattern.rpartition("/")
    return model_glob.strip("\"'"), layer_glob


def _literal(patterns: Sequence[str]) -> frozenset[str]:
    """Return the patterns that are names of layers."""
    ends = [model_and_layer(pattern) for pattern in patterns]
    names = ("/".join(end) for end in ends if layer_word(end[1]) is None)
    return frozenset(name for name in names if not any(sign in name for sign in "*?["))
