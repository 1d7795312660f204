"""What is different between two runs: numbers, contents of layers, versions, declarations."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from stitchpipe.asking.selection import Selection
from stitchpipe.results import MAKING, QueryError, frame_of

if TYPE_CHECKING:
    from stitchpipe.run.place import RunPlace
    from storage import Store

SUBJECT: Final = (
    "index", "view", "grid", "source_model", "source_layer", "target_model", "target_layer", "fit_split", "split",
    *MAKING,
)  # fmt: skip
"""What says which number is which: the same in both runs for numbers that are held against each other."""


@dataclass(frozen=True)
class Difference:
    """What changed from one run to another.

    Attributes
    ----------
    here, there
        Where the two lie; `there` is what changed *to*.
    numbers
        How many are in both and equal.
    added, removed
        Numbers of `there` alone, and of `here` alone: their subject and value.
    changed
        Numbers in both with other values: ``value_here``, ``value_there``, ``change``, statuses; the largest first.
    contents
        Layers whose values differ, or that one run alone holds: ``digest_here``, ``digest_there``.
    versions
        What layers were computed with that is not the same: versions, device, precision.
    declaration
        The lines of the sweep that differ, as of ``diff``.
    """

    here: str
    there: str
    numbers: int
    added: pd.DataFrame
    removed: pd.DataFrame
    changed: pd.DataFrame
    contents: pd.DataFrame
    versions: pd.DataFrame
    declaration: tuple[str, ...]

    @property
    def is_none(self) -> bool:
        """Whether numbers, contents, versions and declarations are the same."""
        frames = (self.added, self.removed, self.changed, self.contents, self.versions)
        return all(frame.empty for frame in frames) and not self.declaration

    def counts(self) -> dict[str, int]:
        """Return how much of each kind differs."""
        return {
            "numbers that are equal": self.numbers,
            "numbers that changed": len(self.changed),
            "numbers added": len(self.added),
            "numbers removed": len(self.removed),
            "layers with other contents": len(self.contents),
            "facts about how they were computed": len(self.versions),
            "lines of the sweep": len(self.declaration),
        }

    def __repr__(self) -> str:
        lines = [f"From {self.here} to {self.there}:"]
        return "\n".join([*lines, *(f"  {count:>9,} {what}" for what, count in self.counts().items())])

    def _repr_html_(self) -> str:
        """Show the counts, and the numbers that changed most, for notebooks."""
        counts = pd.DataFrame(list(self.counts().items()), columns=["what differs", "how many"])
        tables = [counts.to_html(index=False)]
        if len(self.changed):
            tables.append(self.changed.head(10).to_html(index=False, na_rep=""))
        return "".join(tables)


def difference(here: RunPlace, there: RunPlace, *, tolerance: float = 0.0) -> Difference:
    """Return what changed from one run to another.

    Parameters
    ----------
    tolerance
        Numbers that differ by no more than this are equal.

    Raises
    ------
    stitchpipe.results.CatalogueError, storage.CorruptError
        A file of the results is of another version, or damaged.

    Notes
    -----
    Reads the numbers of both runs and the records of both stores, no activations: some hundred bytes of memory for each
    number. Where a run holds several numbers of one subject, of sweeps that were changed and run again, they are held
    against each other in the order in which they were written.

    Examples
    --------
    >>> difference = run.diff("runs/after")  # doctest: +SKIP
    >>> difference.changed.head()            # doctest: +SKIP
    """
    both = _numbers(here).merge(
        _numbers(there), how="outer", on=[*SUBJECT, "again"], suffixes=("_here", "_there"), indicator=True
    )
    subject = [name for name in SUBJECT if both[name].notna().any()]
    is_both = both["_merge"] == "both"
    change = both["value_there"] - both["value_here"]
    is_other = is_both & ((change.abs() > tolerance) | (both["status_here"] != both["status_there"]))
    columns = [*subject, "value_here", "value_there", "change", "status_here", "status_there"]
    changed = both.assign(change=change)[is_other][columns]
    order = np.argsort(-changed["change"].abs().fillna(np.inf).to_numpy(), kind="stable")
    return Difference(
        here=here.url,
        there=there.url,
        numbers=int((is_both & ~is_other).sum()),
        added=_alone(both, "right_only", "there", subject),
        removed=_alone(both, "left_only", "here", subject),
        changed=changed.iloc[order].reset_index(drop=True),
        contents=_contents(here, there),
        versions=_versions(here, there),
        declaration=_declarations(here, there),
    )


def _numbers(place: RunPlace) -> pd.DataFrame:
    """Return all numbers of a run with their subjects; ``again`` counts those of one subject."""
    columns = ", ".join(f'"{name}"' for name in (*SUBJECT, "value", "status"))
    try:
        frame = frame_of(Selection().ask(place, columns))
    except QueryError:
        if place.results.contents():
            raise
        frame = pd.DataFrame(columns=[*SUBJECT, "value", "status"])
    return frame.assign(again=frame.groupby(list(SUBJECT), dropna=False, sort=False).cumcount())


def _alone(both: pd.DataFrame, which: str, side: str, subject: list[str]) -> pd.DataFrame:
    rows = both[both["_merge"] == which]
    kept = {f"value_{side}": "value", f"status_{side}": "status"}
    return rows[[*subject, *kept]].rename(columns=kept).reset_index(drop=True)


def _stores(*places: RunPlace) -> list[Store | None]:
    return [place.open_store() if place.has_store else None for place in places]


def _contents(here: RunPlace, there: RunPlace) -> pd.DataFrame:
    """Return the layers whose contents differ, by the digests that their manifests hold."""
    digests = [_digests(store) for store in _stores(here, there)]
    rows = [
        {
            **dict(zip(("dataset", "split", "model", "layer"), name, strict=True)),
            "digest_here": digests[0].get(name),
            "digest_there": digests[1].get(name),
        }
        for name in sorted(digests[0].keys() | digests[1].keys())
        if digests[0].get(name) != digests[1].get(name)
    ]
    return pd.DataFrame(rows, columns=["dataset", "split", "model", "layer", "digest_here", "digest_there"])


def _digests(store: Store | None) -> dict[tuple[str, str, str, str], str]:
    """Return the digests of everything of a name, joined where there are several contents."""
    digests: dict[tuple[str, str, str, str], str] = {}
    for sealed in () if store is None else store.representations():
        at = sealed.address
        content = store.representation(at, fingerprint=sealed.fingerprint).digest if store is not None else ""
        name = (at.dataset, at.split, at.model, at.layer)
        digests[name] = f"{digests[name]}, {content}" if name in digests else content
    return digests


def _versions(here: RunPlace, there: RunPlace) -> pd.DataFrame:
    """Return the facts about how models were dumped that are not the same in both."""
    facts = [_provenance(store) for store in _stores(here, there)]
    rows = [
        {"model": model, "split": split, "fact": fact, "here": ours.get(fact), "there": theirs.get(fact)}
        for model, split in sorted(facts[0].keys() & facts[1].keys())
        for ours, theirs in [(facts[0][model, split], facts[1][model, split])]
        for fact in sorted(ours.keys() | theirs.keys())
        if ours.get(fact) != theirs.get(fact)
    ]
    return pd.DataFrame(rows, columns=["model", "split", "fact", "here", "there"])


def _provenance(store: Store | None) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what each model's dump on each split says of how it was computed; one layer tells for all."""
    known: dict[tuple[str, str], dict[str, Any]] = {}
    for sealed in () if store is None else store.representations():
        name = (sealed.address.model, sealed.address.split)
        if name not in known and store is not None:
            stored = store.representation(sealed.address, fingerprint=sealed.fingerprint)
            known[name] = _flat({"weights": stored.identity.get("weights"), **stored.provenance})
    return known


def _flat(facts: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested facts by dotted names."""
    if not isinstance(facts, dict):
        return {prefix: facts}
    flat: dict[str, Any] = {}
    for name, value in facts.items():
        flat |= _flat(value, f"{prefix}.{name}" if prefix else str(name))
    return flat


def _declarations(here: RunPlace, there: RunPlace) -> tuple[str, ...]:
    ours, theirs = ((place.declaration() or "").splitlines() for place in (here, there))
    lines = difflib.unified_diff(ours, theirs, lineterm="", n=0)
    return tuple(line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---"))
