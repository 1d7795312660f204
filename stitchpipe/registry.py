"""Every measure that there is, gathered from where it is declared beside its formula.

The names that a sweep may ask for, ``--help``, the listing of indices, the glossary of a report, the titles of figures
and what the engine forms for an index are all derived from here, so that a measure is added where its formula is and
nowhere else. An installed package adds an index of its own through an entry point::

    [project.entry-points."stitchpipe.indices"]
    trace_ratio = "my_package.trace_ratio:TRACE_RATIO"

where ``TRACE_RATIO`` is a `stitchpipe.algebra.Index` of the same name; it is imported when its name is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from stitchpipe import algebra
from stitchpipe.algebra import INDICES, AlgebraError, Index
from stitchpipe.algebra.layers import LAYER_MEASURES, layer_measure_named
from stitchpipe.algebra.maps import FAMILIES
from stitchpipe.errors import ExplainedError, named_line
from stitchpipe.measures import UnknownNameError, read_name, spelt
from stitchpipe.ood.score import PREFIX
from stitchpipe.ood.scores import OF_THE_DETECTOR, SCORES
from stitchpipe.plugins import Entry, PluginError, Plugins, Registry
from stitchpipe.stitching.fidelity import CLASS_ACCURACY, FEATURE_DISTANCE, FIDELITY
from stitchpipe.stitching.objectives import OBJECTIVES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stitchpipe.measures import Measure
    from stitchpipe.stitching.objectives import Objective

_INSTALLED = Plugins("stitchpipe.indices", "index")
_INDICES = Registry(INDICES.values(), _INSTALLED, Index)

OF_STITCHES: Mapping[str, Measure] = {
    measure.name: measure
    for measure in (
        *(fidelity.measure for fidelity in FIDELITY.values()),
        CLASS_ACCURACY,
        FEATURE_DISTANCE,
        *(score.measure for score in SCORES.own.values()),
        *OF_THE_DETECTOR.values(),
    )
}
"""What stitched networks are judged by, but for scores that packages add."""

OWN_OBJECTIVES: Mapping[str, str] = {name: objective.meaning for name, objective in OBJECTIVES.own.items()}
"""What stitches can be trained for without a package that adds to it: a sentence each."""


def index_names() -> tuple[str, ...]:
    """Return the name of every index, ours in the order in which they are listed, then those that packages add.

    Raises
    ------
    PluginError
        A package took a name of ours.
    """
    return (*INDICES, *_added())


def index_named(name: str) -> Index:
    """Return an index with its formulas: ``"cka"``, ``"gulp"`` (its default λ) or ``"gulp(0.1)"``.

    Its own name is the shortest spelling, so that one number has one name.

    Raises
    ------
    UnknownNameError
        No such index (the nearest names are given), a parameter where there is none, or one out of range.
    PluginError
        A package took a name of ours, or the package that adds this one cannot be imported or gives something else.
    """
    base, added = name.strip().partition("(")[0], _added()
    if base in INDICES:
        return algebra.index_named(name)
    known = {index.name: index.measure.parameter for index in INDICES.values()} | dict.fromkeys(added)
    index = None
    if base in added:
        index = _reporting(_INDICES.named(base), added[base])
        known[base] = index.measure.parameter
    base, value = read_name(name, known, what="index", see="See `stitchpipe indices`.")
    index = INDICES[base] if index is None else index
    return index if value is None else index.with_parameter(value)


def indices() -> tuple[dict[str, Measure], list[PluginError]]:
    """Return what there is to know of every index, by name, and why others that packages add cannot be used.

    Raises PluginError where a package took a name of ours.
    """
    measures, refusals = {}, []
    for name in index_names():
        try:
            measures[name] = index_measure(name)
        except PluginError as refusal:
            refusals.append(refusal)
    return measures, refusals


def index_measure(name: str) -> Measure:
    """Return what there is to know of an index, under the one spelling of its name; raises as `index_named`."""
    return index_named(name).measure


def of_stitches() -> tuple[list[Measure], list[ExplainedError]]:
    """Return what stitches are judged by, ours and what packages add, and why others that they add cannot be used."""
    added, refusals = _added_to(SCORES)
    return [*OF_STITCHES.values(), *(score.measure for score in added)], refusals


def of_layers() -> list[Measure]:
    """Return what there is to know of every measure of a single layer."""
    return [measure.measure for measure in LAYER_MEASURES.values()]


def layer_measure(name: str) -> Measure:
    """Return what there is to know of a measure of a single layer, under the one spelling of its name.

    Raises
    ------
    UnknownNameError
        No such measure (the nearest names are given), a parameter where there is none, or one out of range.
    """
    return layer_measure_named(name).measure


def objectives() -> tuple[list[Objective], list[ExplainedError]]:
    """Return what stitches can be trained for, ours and what packages add, and why others cannot be used."""
    added, refusals = _added_to(OBJECTIVES)
    return [*OBJECTIVES.own.values(), *added], refusals


def described(name: str) -> Measure | Objective:
    """Return what there is to know under a name: of an index, of a measure of layers or stitches, or of an objective.

    Raises
    ------
    UnknownNameError
        Nobody knows the name, or not with that number.
    ExplainedError
        The package that adds it cannot be used.
    """
    if name in OF_STITCHES:
        return OF_STITCHES[name]
    if name in SCORES.names():
        return SCORES.named(name).measure
    if name.strip().partition("(")[0] in LAYER_MEASURES:
        return layer_measure(name)
    return OBJECTIVES.named(name) if name in OBJECTIVES.names() else index_measure(name)


def _added_to(offered: Registry[Entry]) -> tuple[list[Entry], list[ExplainedError]]:
    """Return what packages add to a registry, and why what others add cannot be used."""
    entries, refusals = [], []
    try:
        added = [name for name in offered.names() if name not in offered.own]
    except ExplainedError as refusal:
        return [], [refusal]
    for name in added:
        try:
            entries.append(offered.named(name))
        except ExplainedError as refusal:
            refusals.append(refusal)
    return entries, refusals


def find_measure(name: str) -> Measure | None:
    """Return what there is to know of a measure, or None where nobody knows it.

    Results may hold numbers of other versions, and of packages that are not installed or not intact any more.
    """
    if name in OF_STITCHES:
        return OF_STITCHES[name]
    try:
        if name.partition("(")[0] in LAYER_MEASURES:
            return layer_measure(name)
        return SCORES.named(name).measure if name.startswith(PREFIX) else index_measure(name)
    except ExplainedError:
        return None


def find_objective(name: str) -> Objective | None:
    """Return an objective of stitches, or None where nobody knows it; see `find_measure`."""
    try:
        return OBJECTIVES.named(name)
    except ExplainedError:
        return None


def provider(name: str) -> str | None:
    """Return the package that adds an index, and its version; None for an index of ours.

    Its numbers depend on it, as those of ours depend on the version of our algebra.
    """
    return _added().get(name.partition("(")[0])


def code_of(name: str) -> str | None:
    """Return the package that adds an index with a digest of its sources; None for an index of ours."""
    package = provider(name)
    return None if package is None else _INSTALLED.code(name.partition("(")[0]) or package


def map_family(name: str) -> str:
    """Return the one spelling of a family of least-squares maps: ``ridge(0.10)`` is ``ridge(0.1)``.

    Raises
    ------
    UnknownNameError
        No such family, or not with that number.
    """
    known = {family.name: family.parameter for family in FAMILIES.values()}
    base, value = read_name(name, known, what="family of maps", see="Choose one of these.")
    parameter = known[base]
    is_default = parameter is None or value in (None, parameter.value)
    return base if value is None or is_default else f"{base}({spelt(value)})"


def about_objectives() -> str:
    """Return what our own objectives of stitches ask for, a sentence each."""
    return " ".join(f"{name}: {meaning}" for name, meaning in OWN_OBJECTIVES.items())


def objective_name(name: str) -> str:
    """Return the name of an objective of stitches, ours or one that a package adds.

    Raises
    ------
    UnknownNameError
        No such objective; the nearest one is given.
    ExplainedError
        The package that adds it cannot be used.
    """
    known = dict.fromkeys(OBJECTIVES.names())
    base, _ = read_name(name, known, what="objective", see="Choose one of these.")
    return OBJECTIVES.named(base).name


def score_name(name: str) -> str:
    """Return the name of an out-of-distribution score that a package adds.

    Raises
    ------
    UnknownNameError
        No such score; the nearest one is given. Or it is ours, which every stitch has unasked.
    ExplainedError
        The package that adds it cannot be used.
    """
    added = dict.fromkeys(known for known in SCORES.names() if known not in SCORES.own)
    if name in OF_STITCHES:
        raise UnknownNameError(
            where=f"score {name!r}",
            expected="a score that a package adds: every stitch has those of our own",
            found=repr(name),
            remedy="Leave it out.",
        )
    see = f"Packages add scores as entry points of the group {SCORES.plugins.group}."
    base, _ = read_name(name, added, what="score", see=see)
    return SCORES.named(base).name


@cache
def _added() -> Mapping[str, str]:
    """Return which package adds which index, by the index's name; looked for once, because every name asks.

    Raises PluginError where a package took a name of ours.
    """
    names = [name for name in _INDICES.names() if name not in INDICES]
    return {name: _INSTALLED.provider(name) or name for name in names}


def _reporting(index: Index, package: str) -> Index:
    """Return an index that a package adds, whose functions name the package where they fail."""
    where = f"the index '{index.name}' of {package}"
    return replace(
        index,
        of_moments=index.of_moments and _Reported(index.of_moments, where),
        of_batch=index.of_batch and _Reported(index.of_batch, where),
        of_gram=index.of_gram and _Reported(index.of_gram, where),
    )


@dataclass(frozen=True)
class _Reported:
    """A function of a package; what it raises by mistake becomes one line that says whose it is."""

    function: Callable[..., Any]
    where: str

    def __call__(self, *given: Any) -> Any:
        try:
            return self.function(*given)
        except AlgebraError:
            raise
        except Exception as failure:
            raise AlgebraError(
                where=self.where,
                expected="a number, or an UndefinedIndexError where there is none",
                found=named_line(failure),
                remedy="Correct or reinstall the package, or leave this index out.",
            ) from failure
