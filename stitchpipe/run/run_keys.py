"""The keys of a run's work: `stitchpipe.run.keys` applied to what its sweep declares and its layers hold."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from stitchpipe.ood import SCORES
from stitchpipe.registry import code_of
from stitchpipe.run import keys
from stitchpipe.run.names import TEST, TRAIN
from stitchpipe.stitching import OBJECTIVES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

    from stitchpipe.config import Compare, Data
    from stitchpipe.rows import View
    from stitchpipe.run.activations.contents import Contents, End, Ends
    from stitchpipe.run.opened import OpenedSweep
    from stitchpipe.run.planned_stitch import PlannedStitch

STITCH_VIEW: Final[View] = "positions"
"""A 1×1 convolution acts on every position: its least-squares map is fitted on positions."""

FOREIGN_ROLES: Final = {"auxiliary": TRAIN, "sanity": TEST}
"""What foreign images are for, and which split of a data set serves."""


def pair_keys(run: OpenedSweep, ends: Ends, table: Compare) -> keys.PairKeys:
    """Return the keys of the numbers of all pairs of some layers, in their order, under a table's view."""
    certainty = run.sweep.certainty
    settings = {
        "intervals": certainty.intervals and keys.INTERVAL_VERSION,
        "permutations": certainty.permutations,
        **_groups_of_images(ends),
    }
    families = _family_digests(certainty.family_kind, ends) if table.view != "positions" else {}
    # Pairs of one model are in no family, and have none in their key.
    kinds: list[dict[str, Any]] = [
        settings,
        *({**settings, "family": [certainty.family_kind, digest]} for digest in families.values()),
    ]
    models = list(dict.fromkeys(name.model for name in ends))
    of_models = np.zeros((len(models), len(models)), np.int64)
    for kind, (source, target) in enumerate(families, 1):
        of_models[models.index(source), models.index(target)] = kind
    places = [models.index(name.model) for name in ends]
    return keys.PairKeys.of(
        [end.side for end in ends.values()],
        view=table.view,
        products=run.products,
        certainties=kinds,
        kinds=of_models[np.ix_(places, places)],
    )


def _groups_of_images(ends: Ends) -> dict[str, Any]:
    """Return digests of what the images of both splits belong to; nothing where each is on its own.

    All layers are of the same splits, so that one is asked.
    """
    for end in ends.values():
        digests = [end.train.group_digest, end.test.group_digest]
        return {"groups": digests} if any(digests) else {}
    return {}


def _family_digests(kind: str | None, ends: Ends) -> dict[tuple[str, str], str]:
    """Return a digest of all layers that the families of two models hold, by the models' names.

    A number that is said of a family depends on all its pairs: a model that gets a layer more is compared again with
    each other model. Over a run that is every layer.
    """
    if kind is None:
        return {}
    layers: dict[str, list[Any]] = {}
    for name, end in ends.items():
        layers.setdefault(name.model, []).append([end.side.name, end.side.digests])
    models = {model: keys.digest_of(*of_model) for model, of_model in layers.items()}
    whole = keys.digest_of(sorted(models.values())) if kind == "run" else None
    return {
        (x, y): whole or keys.digest_of(sorted((models[x], models[y])))
        for x, y in product(models, models)
        if x != y
    }


def index_keys(pairs: keys.PairKeys, indices: Iterable[str]) -> dict[str, npt.NDArray[np.uint64]]:
    """Return the keys of some indices of all pairs, ``[layers, layers]`` each.

    They are the pairs' own, but where a package adds an index, that package counts, its version and its sources: a
    change of it computes its own index again and nothing else.
    """
    by_package = {package: pairs.added_by(package).matrix for package in {code_of(name) for name in indices}}
    return {name: by_package[code_of(name)] for name in indices}


def prediction_keys(logits: Mapping[str, Contents], *, view: str, index: str) -> dict[tuple[str, str], str]:
    """Return the key of each pair of models by their logits."""
    return {
        (source, target): keys.prediction_key(
            (source, logits[source]), (target, logits[target]), view=view, index=index
        )
        for source, target in product(logits, logits)
    }


def map_key(run: OpenedSweep, source: End[Contents], target: End[Contents], family: str) -> str:
    """Return the key of a least-squares map of a pair, fitted on the training split."""
    return keys.map_key(
        source.side,
        target.side,
        view=STITCH_VIEW,
        grids=(source.grid, target.grid),
        family=family,
        products=run.products,
    )


def stitch_key(run: OpenedSweep, planned: PlannedStitch, ends: Ends) -> str:
    """Return the key of everything that is kept of a stitch."""
    budget = planned.budget
    return keys.stitch_key(
        planned.identity(),
        ends[planned.source].side,
        ends[planned.target].side,
        judged_by=judged_by(run),
        products=None if planned.map is None else run.products,
        objective_of=None if budget is None else OBJECTIVES.code(budget.objective),
        groups=_groups_of_images({planned.target: ends[planned.target]}).get("groups", ()),
    )


def detector_key(run: OpenedSweep, target: End[Contents]) -> str:
    """Return the key of the detector that is trained for a target layer."""
    return keys.detector_key(target.side, grid=target.grid, declared=judged_by(run)["detector"])


def judged_by(run: OpenedSweep) -> dict[str, Any]:
    """Return what the table [ood] stands for: data sets by their content, not by their place."""
    declared, detector = run.sweep.ood.model_dump(mode="json"), run.sweep.ood.detector
    added = {name: SCORES.code(name) for name in declared.pop("scores")}
    if added:
        declared["scores"] = added
    if detector is not None:
        for role, split in FOREIGN_ROLES.items():
            declared["detector"][role] = _content(run, role, getattr(detector, role), split)
    return declared


def _content(run: OpenedSweep, role: str, declared: str | Data, split: str) -> list[Any]:
    if isinstance(declared, str):
        return [declared, keys.GENERATOR_VERSION]
    images = run.data.foreign(role, declared, split)
    return [images.digest, dict(images.preprocessing)]
