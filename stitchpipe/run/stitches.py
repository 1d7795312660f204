"""The stitches that a sweep declares, one by one: globs and pairings expanded, impossible ones refused."""

from __future__ import annotations

import fnmatch
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from stitchpipe.config import (
    ConfigError,
    DirectStitch,
    IngestedModel,
    NetworkModel,
    TrainedStitch,
    layer_word,
)
from stitchpipe.errors import nearest
from stitchpipe.globs import meant_by
from stitchpipe.graph import LOGITS
from stitchpipe.rows import width_of
from stitchpipe.run.declared import permuted_model
from stitchpipe.run.names import TRAIN, LayerName, Pair
from stitchpipe.stitching import OBJECTIVES, TrainingBudget

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from stitchpipe.config import Stitch, Sweep
    from stitchpipe.graph import LayerInfo
    from stitchpipe.run.data import RunData
    from stitchpipe.run.layers import LayerTable

AFFINE: Final = "affine"
"""The family of direct matching proper."""
MOST_STITCHES: Final = 1_000_000
"""In a table: each is made, planned and trained one by one."""


@dataclass(frozen=True, slots=True)
class PlannedStitch:
    """One stitch to make.

    Attributes
    ----------
    map
        Family of the least-squares map that it is, or begins with; None where it needs none.
    init, budget
        Of a training; None for direct matching.
    """

    source: LayerName
    target: LayerName
    map: str | None = None
    init: str | None = None
    budget: TrainingBudget | None = None

    @property
    def method(self) -> str:
        """Return ``tlm``, ``dm``, or ``dm_ridge(0.1)`` and the like of other maps than affine ones."""
        if self.budget is not None:
            return "tlm"
        return "dm" if self.map == AFFINE else f"dm_{self.map}"

    def identity(self) -> Mapping[str, Any]:
        """Return what the stitch is, as its key has it."""
        return {
            "source": {"model": self.source.model, "layer": self.source.layer},
            "target": {"model": self.target.model, "layer": self.target.layer},
            "map": self.map,
            "init": self.init,
            "budget": None if self.budget is None else asdict(self.budget),
        }

    def reads(self) -> list[LayerName]:
        """Return whose activations on the training images the stitch reads."""
        names = [self.source]
        needs = OBJECTIVES.named(self.budget.objective).needs if self.budget is not None else frozenset()
        if "native" in needs:
            names.append(self.target)
        if "native_logits" in needs:
            names.append(LayerName(self.target.model, LOGITS))
        return names


@dataclass(frozen=True, slots=True)
class PlannedStitches:
    """The stitches that a sweep declares.

    Attributes
    ----------
    made
        One by one, each once, in the order of the file.
    left_out
        Pairs that globs match and that cannot be stitched, with what would be needed: nobody named these layers.
    """

    made: tuple[PlannedStitch, ...]
    left_out: Mapping[Pair, str]


def planned_stitches(
    sweep: Sweep, spelt: Sequence[Stitch], table: LayerTable, headless: Collection[str] = ()
) -> PlannedStitches:
    """Return the declared stitches, and the pairs of layers that are left out of them.

    Parameters
    ----------
    spelt
        The sweep's tables of stitches, with names in place of words for layers.
    headless
        Models whose networks give features and no logits.

    Raises
    ------
    ConfigError
        A glob matches no layer, layers that are named cannot be stitched, or none that globs match can; identity is
        asked of unequal widths, or logits of a network that gives none.
    """
    planned: dict[PlannedStitch, None] = {}
    left_out: dict[Pair, str] = {}
    mistakes: list[ConfigError] = []
    for number, (declared, named) in enumerate(zip(spelt, map(_Named.of, sweep.stitch), strict=True)):
        try:
            stitches, unfit = _of_table(sweep, table, declared, named, f"stitch[{number}]")
            for stitch in stitches:
                _demand_logits(stitch, headless, f"stitch[{number}].objectives")
            planned |= dict.fromkeys(stitches)
            left_out |= unfit
        except ConfigError as error:
            mistakes.append(error)
    if len(mistakes) > 1:
        raise ConfigError(
            where=f"sweep '{sweep.name}'",
            expected="stitches that can be made",
            found=f"{len(mistakes)} tables of others",
            remedy="Correct each:" + "".join(f"\n- {mistake}" for mistake in mistakes),
        )
    if mistakes:
        raise mistakes[0]
    return PlannedStitches(tuple(planned), left_out)


@dataclass(frozen=True)
class _Named:
    """The layers that a table of stitches names one by one, and not by globs or words."""

    sources: frozenset[str]
    targets: frozenset[str]

    @classmethod
    def of(cls, declared: Stitch) -> _Named:
        """Sort the patterns of a table as it is declared."""
        return cls(_literal(declared.sources), _literal(declared.targets))

    def asks_for(self, source: LayerName, target: LayerName, *, is_cut: bool) -> bool:
        """Whether somebody named what cannot be stitched: a target that is no cut, or both ends that do not fit."""
        return str(target) in self.targets and (str(source) in self.sources or not is_cut)


def _literal(patterns: Sequence[str]) -> frozenset[str]:
    """Return the patterns that are names of layers."""
    ends = ("/".join(_globs(pattern)) for pattern in patterns if layer_word(_globs(pattern)[1]) is None)
    return frozenset(end for end in ends if not any(sign in end for sign in "*?["))


def _of_table(
    sweep: Sweep, table: LayerTable, declared: Stitch, named: _Named, where: str
) -> tuple[list[PlannedStitch], dict[Pair, str]]:
    """Return the stitches of one table, and what is left out; of a sweep without some of its models it may be none."""
    layers = _Layers(table, sweep.left_out)
    sources = layers.matching(declared.sources, f"{where}.sources")
    targets = layers.matching(declared.targets, f"{where}.targets")
    _demand_count(declared, sources, targets, where)
    pairs = [(s, t) for t in targets for s in sources if _paired(declared, s, t)]
    if not pairs and not layers.is_narrowed(declared):
        raise ConfigError(
            where=where,
            expected=f"at least one pair of layers with pairs = '{declared.pairs}'",
            found=f"none among {len(sources)} sources and {len(targets)} targets",
            remedy="Widen the globs, or set pairs = 'all'.",
        )
    planned: list[PlannedStitch] = []
    unfit: dict[Pair, ConfigError] = {}
    for source, target in pairs:
        _demand_network(sweep, target, where)
        refusal = _misfit(source, target, table, where)
        if refusal is not None:
            if named.asks_for(source, target, is_cut=_info(table, target).is_cut):
                raise refusal
            unfit[source, target] = refusal
            continue
        if isinstance(declared, TrainedStitch) and declared.augmented:
            _demand_images(sweep, source, where)
        for stitch in _expanded(declared, source, target):
            _demand_equal_widths(stitch, table, where)
            planned.append(stitch)
    if unfit and not planned:
        raise next(iter(unfit.values()))
    return planned, {pair: error.expected for pair, error in unfit.items()}


def _demand_count(
    declared: Stitch, sources: Sequence[LayerName], targets: Sequence[LayerName], where: str
) -> None:
    """Refuse more stitches than anybody could train, before any of them is made."""
    ways = 0 if not sources or not targets else len(_expanded(declared, sources[0], targets[0]))
    if ways * len(sources) * len(targets) <= MOST_STITCHES:
        return
    count = ways * sum(_paired(declared, source, target) for target in targets for source in sources)
    if count > MOST_STITCHES:
        raise ConfigError(
            where=where,
            expected=f"at most {MOST_STITCHES:,} stitches in a table",
            found=f"{count:,}: {len(sources):,} sources, {len(targets):,} targets, {ways:,} ways of each",
            remedy="Narrow the globs, or take fewer seeds, objectives or initial maps.",
        )


def training_splits(data: RunData, planned: PlannedStitch) -> tuple[str, ...]:
    """Return the splits that a training goes through, epoch by epoch."""
    if planned.budget is None or not planned.budget.augmented:
        return (TRAIN,)
    return data.augmented_splits()


def ends_of(stitches: Sequence[PlannedStitch]) -> list[LayerName]:
    """Return the layers that stitches begin or end at, each once, sorted."""
    return sorted({name for stitch in stitches for name in (stitch.source, stitch.target)})


def _demand_network(sweep: Sweep, target: LayerName, where: str) -> None:
    if not isinstance(sweep.model(target.model), NetworkModel):
        networks = [model.name for model in sweep.networks]
        raise ConfigError(
            where=f"{where}.targets",
            expected="layers of models with a network: what follows the stitch is run",
            found=f"{target}, of which there are only activations",
            remedy=f"Stitch it as a source; targets can be of {', '.join(networks) or 'no model of this sweep'}.",
        )


def _demand_logits(stitch: PlannedStitch, headless: Collection[str], where: str) -> None:
    """Refuse an objective that needs logits of a target that gives features."""
    if stitch.budget is None or stitch.target.model not in headless:
        return
    if OBJECTIVES.named(stitch.budget.objective).needs & {"logits", "native_logits"}:
        without = [name for name in OBJECTIVES.names() if OBJECTIVES.named(name).needs == {"native"}]
        raise ConfigError(
            where=where,
            expected=f"objectives that need no logits, because model '{stitch.target.model}' gives features",
            found=f"'{stitch.budget.objective}' into {stitch.target}",
            remedy=f"Take {' or '.join(without)}, or method 'dm'; or a target with a classifier.",
        )


def _demand_images(sweep: Sweep, source: LayerName, where: str) -> None:
    """Refuse augmented passes of activations that no network of the sweep makes."""
    origin = permuted_model(sweep.model(source.model)) or source.model
    if isinstance(sweep.model(origin), IngestedModel):
        raise ConfigError(
            where=f"{where}.augmented",
            expected="sources that are dumped, on augmented passes over the training images too",
            found=f"{source}, whose activations were ingested",
            remedy="Declare its stitches without `augmented`.",
        )


@dataclass(frozen=True)
class _Layers:
    """The layers that globs of stitches may match, and the models that are left out of the sweep."""

    table: LayerTable
    left_out: frozenset[str]

    def matching(self, patterns: Sequence[str], where: str) -> list[LayerName]:
        """Return the layers that some globs match, each once; one that matches nothing that is there is refused."""
        names = [LayerName(model, info.name) for model, infos in self.table.items() for info in infos]
        chosen: dict[LayerName, None] = {}
        for pattern in patterns:
            model_glob, layer_glob = _globs(pattern)
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
        return any(meant_by(_globs(pattern)[0], self.left_out) for pattern in patterns)

    def _unmatched(
        self, pattern: str, model_glob: str, names: Sequence[LayerName], where: str
    ) -> ConfigError:
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


def _listed(what: str, names: Sequence[str], most: int = 20) -> str:
    """Return a sentence that lists names, and counts those that are too many to list."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{what} {', '.join(names[:most])}{more}."


def _globs(pattern: str) -> tuple[str, str]:
    """Return a glob over models and one over layers."""
    model_glob, _, layer_glob = pattern.rpartition("/")
    return model_glob.strip("\"'"), layer_glob


def _paired(declared: Stitch, source: LayerName, target: LayerName) -> bool:
    match declared.pairs:
        case "self":
            return source == target
        case "within":
            return source.model == target.model
        case "between":
            return source.model != target.model
        case "corresponding":
            return source.layer == target.layer and source.model != target.model
        case _:
            return True


def _expanded(declared: Stitch, source: LayerName, target: LayerName) -> list[PlannedStitch]:
    if isinstance(declared, DirectStitch):
        return [PlannedStitch(source, target, family) for family in declared.maps]
    budgets = [
        TrainingBudget(
            steps=declared.steps,
            batch_size=declared.batch_size,
            learning_rate=declared.learning_rate,
            weight_decay=declared.weight_decay,
            seed=seed,
            objective=objective,
            autocast=declared.autocast,
            compiled=declared.compiled,
            augmented=declared.augmented,
        )
        for objective in declared.objectives
        for seed in declared.seeds
    ]
    return [
        PlannedStitch(source, target, AFFINE if init == "dm" else None, init, budget)
        for init in declared.init
        for budget in budgets
    ]


def _misfit(source: LayerName, target: LayerName, table: LayerTable, where: str) -> ConfigError | None:
    """Return why one layer cannot be stitched into another, or None."""
    from_layer, to_layer = _info(table, source), _info(table, target)
    if not to_layer.is_cut:
        known = [info.name for info in table[target.model]]
        position = known.index(target.layer)
        cuts = sorted(
            (info.name for info in table[target.model] if info.is_cut),
            key=lambda name: abs(known.index(name) - position),
        )
        return ConfigError(
            where=where,
            expected="targets where a single value crosses, so that the rest of the network can run alone",
            found=f"{target}, which a residual crosses",
            remedy=f"Of the dumped layers these can be targets, nearest first: {', '.join(cuts[:6]) or 'none'}.",
        )
    if bool(from_layer.grid) != bool(to_layer.grid):
        return ConfigError(
            where=where,
            expected="source and target that both have positions (images, tokens), or two vectors",
            found=f"{source} of shape {from_layer.shape} into {target} of shape {to_layer.shape}",
            remedy="Narrow the globs to layers of one kind.",
        )
    return None


def _demand_equal_widths(stitch: PlannedStitch, table: LayerTable, where: str) -> None:
    """Refuse a training that begins with the identity between layers of different widths."""
    p, q = (width_of(_info(table, name).shape, "positions") for name in (stitch.source, stitch.target))
    if stitch.init == "identity" and p != q:
        raise ConfigError(
            where=where,
            expected="init 'identity' between layers of equal width",
            found=f"{stitch.source} of width {p} into {stitch.target} of width {q}",
            remedy="Take init 'random' or 'dm' there, or narrow the globs.",
        )


def _info(table: LayerTable, name: LayerName) -> LayerInfo:
    return next(info for info in table[name.model] if info.name == name.layer)
