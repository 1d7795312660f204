"""Retirements: records that take sealed layers of a dump out of readers' sight, so that they can be dumped again.

Nothing that is committed is changed. A retirement counts the *generation* of a dump up; a pass that was begun before
it no longer speaks for the layers it names, and a pass begun after it may keep the row groups it says are sound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from storage.layout import COMMITS
from storage.records import create_record, read_cached

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.place import Place

RETIRED = "retired"

Reason = Literal["evicted", "damaged"]


@dataclass(frozen=True)
class RetiredLayer:
    """One layer of a retirement: the pass that had sealed it, and the row groups whose shards stay valid."""

    pass_name: str
    kept: tuple[int, ...]


@dataclass(frozen=True)
class Retirement:
    """One record; `number` counts from 0 in each dump."""

    number: int
    reason: Reason
    layers: Mapping[str, RetiredLayer]


def retirements(place: Place, dump: str) -> tuple[Retirement, ...]:
    """Return the retirements of a dump, oldest first."""
    found: list[Retirement] = []
    while (content := read_cached(place, _key(dump, len(found)), kind=RETIRED)) is not None:
        layers = {
            name: RetiredLayer(layer["pass"], tuple(layer["kept"]))
            for name, layer in content["layers"].items()
        }
        found.append(Retirement(len(found), content["reason"], layers))
    return tuple(found)


def retire(place: Place, dump: str, layers: Mapping[str, RetiredLayer], *, reason: Reason) -> Retirement:
    """Take layers out of readers' sight, durably; what lies on the disk stays as it is.

    Raises
    ------
    WriteError
        The place refused.
    """
    described = {name: {"pass": layer.pass_name, "kept": list(layer.kept)} for name, layer in layers.items()}
    content: dict[str, Any] = {"reason": reason, "layers": described}
    number = len(retirements(place, dump))
    while not create_record(place, _key(dump, number), kind=RETIRED, content=content):
        number += 1
    return Retirement(number, reason, layers)


def retired_since(history: tuple[Retirement, ...], layer: str) -> int:
    """Return the generation from which on a pass speaks for `layer`: 0 where it was never retired."""
    return max((past.number + 1 for past in history if layer in past.layers), default=0)


def _key(dump: str, number: int) -> str:
    """Return the key of a retirement's record."""
    return f"{dump}/{COMMITS}/retired-{number:05d}.json"
