"""A run cut into units of work: small names that can be scheduled, retried and resumed one by one.

What a sweep says wrongly is refused before any work, all of it in one message. What cannot be had of what it says
rightly, a network that cannot be traced or a checkpoint that is cut short, is a failed unit, and the others go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from stitchpipe import models
from stitchpipe.config import ConfigError, IngestedModel, StoredData
from stitchpipe.errors import ExplainedError
from stitchpipe.run.declared import permuted_model
from storage import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from stitchpipe.config import Sweep
    from stitchpipe.run import Run
    from stitchpipe.run.ledger import Reason

STEPS: Final = ("inspect", "train", "dump", "compare", "stitch", "report")
"""Every step, in order; each is a function of a run and a unit."""
_OF_THE_SWEEP: Final = {"ArchitectureError", "LayerError", "ConfigError", "DataError"}
"""What an inspection fails with where a name does not exist or the sweep contradicts itself."""
MOST_LISTED: Final = 20
"""Mistakes that one message shows."""


@dataclass(frozen=True, slots=True)
class Units:
    """The units of every step, in a good order.

    Attributes
    ----------
    origins
        Controls that are made from the dumps of another model, and that model.
    mapped
        Targets of stitches that are, or begin with, a map that ``fit maps`` leaves.
    """

    models: tuple[str, ...]
    dumps: tuple[tuple[str, str], ...]
    views: tuple[str, ...]
    targets: tuple[tuple[str, str], ...]
    origins: Mapping[str, str]
    mapped: frozenset[tuple[str, str]]


def check_declaration(run: Run, steps: Sequence[str]) -> None:
    """Refuse what is wrong before anything is known of the networks: data, labels, what was ingested.

    Raises
    ------
    ExplainedError
        The one mistake, or a `ConfigError` that lists several.
    """
    sweep = run.sweep
    ingested = [model.name for model in sweep.models if isinstance(model, IngestedModel)]
    demands: list[Callable[[], object]] = [
        run.data.demand_labels,
        run.ingested.demand_fitting_split,
        *((lambda model=model: run.layers.of(model)) for model in ingested),
    ]
    if not isinstance(sweep.data, StoredData) and "inspect" in steps:
        demands.insert(0, lambda: run.data.splits)
    if "dump" in steps and "compare" not in steps:
        demands.append(run.activations.demand_dumps)
    if "inspect" in steps:
        demands += _of_names(sweep)
    refuse(f"sweep '{sweep.name}'", _mistakes(demands))


def _of_names(sweep: Sweep) -> list[Callable[[], object]]:
    """Return what refuses architectures and checkpoints that are not there, of models that were named one by one."""
    literal = [declared for declared in sweep.networks if declared.rule is None]
    return [
        demand
        for declared in literal
        for demand in (
            partial(models.demand_known, declared.architecture),
            partial(models.demand_checkpoint, declared),
        )
    ]


def check(run: Run, steps: Sequence[str]) -> None:
    """Refuse what is wrong as soon as the layers of all networks are known: globs, stitches, room. Raises the same."""
    demands: list[Callable[[], object]] = [run.layers.demand_globs, lambda: units(run)]
    if "dump" in steps and "compare" not in steps:
        demands.append(run.activations.demand_dumps)
    if "dump" in steps:
        demands.append(run.activations.demand_room)
    refuse(f"sweep '{run.sweep.name}'", _mistakes(demands))


def of_the_sweep(sweep: Sweep, model: str, reason: Reason) -> bool:
    """Return whether an inspection failed because the sweep is wrong, and is to be refused.

    A member of a zoo that does not work is one of many that were not named one by one, and is no mistake.
    """
    return reason.kind in _OF_THE_SWEEP and sweep.network(model).rule is None


def refuse(where: str, mistakes: Iterable[ExplainedError]) -> None:
    """Raise a mistake as it is, or several as one; nothing where there is none."""
    each = list({str(mistake): mistake for mistake in mistakes}.values())
    if len(each) == 1:
        raise each[0]
    if each:
        lines = [str(mistake) for mistake in each[:MOST_LISTED]]
        lines += [f"… and {len(each) - MOST_LISTED} more"] * (len(each) > MOST_LISTED)
        raise ConfigError(
            where=where,
            expected="a sweep whose parts fit together",
            found=f"{len(each)} mistakes",
            remedy="Correct each:" + "".join(f"\n- {line}" for line in lines),
        )


def units(run: Run) -> Units:
    """Return the units of a run; every glob is resolved here, from the records of what was inspected.

    Ingested models are neither trained nor dumped. Nothing is dumped where activations are not kept.

    Raises
    ------
    ConfigError, stitchpipe.graph.LayerError, stitchpipe.data.DataError, stitchpipe.models.ArchitectureError
        The sweep names data, a network or layers that do not exist, or stitches that cannot be made; it trains or
        stitches on data without labels; it keeps no activations, and asks for what reads them.
    """
    run.data.demand_labels()
    targets = dict.fromkeys((stitch.target.model, stitch.target.layer) for stitch in run.stitches)
    run.activations.demand_no_reading()
    run.ingested.demand_fitting_split()
    return Units(
        models=tuple(model.name for model in run.sweep.networks),
        dumps=run.activations.dumps(),
        views=tuple(table.view for table in run.sweep.compare),
        targets=tuple(targets),
        origins={model.name: of for model in run.sweep.models if (of := permuted_model(model)) is not None},
        mapped=frozenset(
            (each.target.model, each.target.layer) for each in run.stitches if each.map is not None
        ),
    )


def _mistakes(demands: Iterable[Callable[[], object]]) -> list[ExplainedError]:
    """Return what each demand is refused with; a place that fails is no mistake of the sweep, and is raised."""
    mistakes = []
    for demand in demands:
        try:
            demand()
        except StoreError:
            raise
        except ExplainedError as error:
            mistakes.append(error)
    return mistakes
