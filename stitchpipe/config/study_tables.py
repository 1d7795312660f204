"""What a study of a sweep expands to: ordinary tables of comparisons and of stitches, at one budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stitchpipe.config.comparisons import Compare
from stitchpipe.config.mistakes import Mistake
from stitchpipe.config.models import NetworkModel
from stitchpipe.config.stitches import DirectStitch, TrainedStitch
from stitchpipe.config.studies import (
    ComparingStudy,
    DepthStudy,
    StitchingStudy,
    StudySection,
    WhichIndexStudy,
)
from stitchpipe.globs import meant_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.config.models import Model
    from stitchpipe.config.stitches import Stitch

WITHIN, BETWEEN, SELF = "within", "between", "self"
_STITCHES: Final[dict[str, tuple[tuple[str, dict[str, Any]], ...]]] = {
    "self": ((WITHIN, {"method": "dm"}), (WITHIN, {"method": "tlm"})),
    "correspondence": ((BETWEEN, {"method": "dm"}), (BETWEEN, {"method": "tlm"})),
    "distance": ((WITHIN, {"method": "dm"}), (WITHIN, {"method": "tlm"})),
    "ood": (
        (WITHIN, {"method": "dm"}),
        (WITHIN, {"method": "tlm"}),
        (SELF, {"method": "tlm", "init": ("identity",)}),
    ),
    "budget": ((WITHIN, {"method": "dm"}), (WITHIN, {"method": "tlm"})),
    "dm-or-not": (
        (WITHIN, {"method": "dm"}),
        (WITHIN, {"method": "tlm", "init": ("random", "dm")}),
        (WITHIN, {"method": "tlm", "objectives": ("penultimate", "fula")}),
    ),
    "which-index": ((BETWEEN, {"method": "dm"}),),
}
"""By study: which pairs are stitched, and how."""


def expanded_studies(
    studies: Sequence[StudySection], models: Sequence[Model]
) -> tuple[list[Compare], list[Stitch], list[Mistake]]:
    """Return the tables that studies stand for, each once, and what is wrong with them.

    Parameters
    ----------
    models
        Of the sweep, all rules expanded.
    """
    compare: list[Compare] = []
    stitch: list[Stitch] = []
    mistakes: list[Mistake] = []
    for number, study in enumerate(studies):
        if isinstance(study, ComparingStudy):
            deletions = isinstance(study, WhichIndexStudy) and study.deletions
            compare.append(Compare(view=study.view, indices=study.indices, deletions=deletions))
        if isinstance(study, DepthStudy):
            # A table has at least one index; this one every report has a use for.
            compare.append(Compare(view=study.view, indices=("cka",), layer_measures=study.measures))
        if not isinstance(study, StitchingStudy):
            continue
        known = [model.name for model in models if isinstance(model, NetworkModel)]
        named = {name for glob in study.models for name in meant_by(glob, known)}
        networks = [name for name in known if name in named]
        tables = [
            table for pairs, how in _STITCHES[study.name] for table in _tables(study, networks, pairs, how)
        ]
        least = 2 if any(table.pairs == BETWEEN for table in tables) else 1
        if len(networks) < least:
            mistakes.append(_too_few(f"study[{number}].models", study, networks, least))
        else:
            stitch += tables
    return compare, [*dict.fromkeys(stitch)], mistakes


def merged(declared: Sequence[Compare], added: Sequence[Compare]) -> tuple[Compare, ...]:
    """Return tables of comparisons with one for each view, and each index in it once; what was declared comes first."""
    views = {table.view: table for table in reversed(declared)}
    for table in added:
        known = views.get(table.view, table)
        # What else a declared table says of its view stays.
        names = tuple(dict.fromkeys((*known.indices, *table.indices)))
        measures = tuple(dict.fromkeys((*known.layer_measures, *table.layer_measures)))
        deletions = known.deletions or table.deletions
        views[table.view] = Compare.model_validate(
            {**known.model_dump(), "indices": names, "layer_measures": measures, "deletions": deletions}
        )
    order = dict.fromkeys(table.view for table in (*declared, *added))
    return tuple(views[view] for view in order)


def _tables(study: StitchingStudy, networks: Sequence[str], pairs: str, how: dict[str, Any]) -> list[Stitch]:
    """Return one kind of stitches: a table, or one for each number of steps."""
    ends = tuple(f"{_literal(model)}/{layer}" for model in networks for layer in study.layers)
    common: dict[str, Any] = {"sources": ends or ("*/*",), "targets": ends or ("*/*",), "pairs": pairs, **how}
    if how["method"] == "dm":
        return [DirectStitch.model_validate(common)]
    budget = {name: getattr(study, name) for name in ("seeds", "batch_size", "learning_rate")}
    return [TrainedStitch.model_validate({**budget, **common, "steps": steps}) for steps in study.budgets]


def _literal(model: str) -> str:
    """Return a glob that matches a name and nothing else."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in model)


def _too_few(where: str, study: StitchingStudy, networks: Sequence[str], least: int) -> Mistake:
    return Mistake(
        where,
        f"globs that fit at least {least} {'network' if least == 1 else 'networks'}, for the study '{study.name}'",
        f"{list(study.models)}, which fit {', '.join(networks) or 'none'}",
        "Widen them, or declare more networks.",
    )
