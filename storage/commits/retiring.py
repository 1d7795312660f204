"""Retirements: records that take sealed layers of a dump out of readers' sight, so that they can be dumped again.

Nothing that is committed is changed. A retirement counts the *generation* of a dump up. A layer set that was begun
before it no longer speaks for the layers that it names; one begun after it may keep the row groups it says are sound.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from storage.format import MARKER, ShardRecord, create_record, marker_key, read_cached, read_record
from storage.place import COMMITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from storage.place import Place

RETIRED = "retired"

Reason = Literal["evicted", "damaged"]


@dataclass(frozen=True)
class RetiredLayer:
    """One layer of a retirement: the layer set that had sealed it, and the row groups whose shards stay valid."""

    layer_set: str
    kept: tuple[int, ...]


@dataclass(frozen=True)
class Retirement:
    """One record; `number` counts from 0 in each dump, `at_s` is when, in seconds since the epoch."""

    number: int
    reason: Reason
    layers: Mapping[str, RetiredLayer]
    at_s: float

    @property
    def day(self) -> str:
        """The day, as people write it, in UTC."""
        return time.strftime("%Y-%m-%d", time.gmtime(self.at_s))


def retirements(place: Place, dump: str) -> tuple[Retirement, ...]:
    """Return the retirements of a dump, oldest first.

    Raises
    ------
    CorruptError
        A record is damaged.
    """
    history: list[Retirement] = []
    while (content := read_cached(place, retirement_key(dump, len(history)), kind=RETIRED)) is not None:
        layers = {
            name: RetiredLayer(layer["pass"], tuple(layer["kept"]))
            for name, layer in content["layers"].items()
        }
        history.append(Retirement(len(history), content["reason"], layers, content["at_s"]))
    return tuple(history)


def retire(
    place: Place,
    dump: str,
    layers: Mapping[str, RetiredLayer],
    *,
    reason: Reason,
    number: int | None = None,
) -> Retirement:
    """Take layers out of readers' sight, durably; what lies on the disk stays as it is.

    `number` is given by a repair alone, to fill the place of a record that was lost.

    Raises
    ------
    WriteError
        The place refused.
    """
    described = {name: {"pass": layer.layer_set, "kept": list(layer.kept)} for name, layer in layers.items()}
    at_s = float(int(time.time()))
    content: dict[str, Any] = {"reason": reason, "layers": described, "at_s": at_s}
    wanted = len(retirements(place, dump)) if number is None else number
    while not create_record(place, retirement_key(dump, wanted), kind=RETIRED, content=content):
        wanted += 1
    return Retirement(wanted, reason, layers, at_s)


def kept_shards(
    place: Place, dump: str, layers: Mapping[str, RetiredLayer], row_group: int
) -> tuple[dict[str, ShardRecord], dict[str, Any]]:
    """Return the records of a row group's shards that stay valid, and the provenance of the run that wrote the last.

    Raises
    ------
    NotFoundError, CorruptError
        A marker of the layer set that had sealed them is gone or damaged.
    """
    records, provenance = {}, {}
    for name, layer in layers.items():
        marker = read_record(place, marker_key(dump, layer.layer_set, row_group), kind=MARKER)
        records[name], provenance = ShardRecord.from_json(marker["shards"][name]), marker["provenance"]
    return records, provenance


def latest_of(history: Iterable[Retirement], layer: str) -> Retirement | None:
    """Return the last retirement of a layer, or None where there was none."""
    past_of_layer = [past for past in history if layer in past.layers]
    return past_of_layer[-1] if past_of_layer else None


def retired_since(history: tuple[Retirement, ...], layer: str) -> int:
    """Return the generation from which on a layer set speaks for `layer`: 0 where it was never retired."""
    return max((past.number + 1 for past in history if layer in past.layers), default=0)


def retirement_key(dump: str, number: int) -> str:
    """Return the key of a retirement's record."""
    return f"{dump}/{COMMITS}/retired-{number:05d}.json"
