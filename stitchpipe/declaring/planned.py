"""What a sweep of objects would do, before anything of it is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from stitchpipe.declaring.sweeps import sweep_of
from stitchpipe.run import Run, RunPlace
from stitchpipe.sizes import size_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Plan:
    """What a sweep would do.

    Attributes
    ----------
    models
        One row for each: its layers, its activations in bytes before compression.
    images
        Of either split.
    pairs
        Ordered pairs of layers, by view.
    numbers
        Of comparisons: pairs by indices.
    stitches
        How many are made.
    activation_bytes
        Of all dumps, before compression.
    """

    place: str
    models: pd.DataFrame
    images: Mapping[str, int]
    pairs: Mapping[str, int]
    numbers: int
    stitches: int
    activation_bytes: int

    def facts(self) -> dict[str, str]:
        """Return the plan as facts in words."""
        images = ", ".join(f"{count:,} {split}" for split, count in self.images.items())
        pairs = ", ".join(f"{count:,} under {view}" for view, count in self.pairs.items())
        return {
            "into": self.place,
            "images": images,
            "activations": f"{size_of(self.activation_bytes)} before compression",
            "pairs of layers": pairs or "none",
            "numbers": f"{self.numbers:,}",
            "stitches": f"{self.stitches:,}",
        }

    def __repr__(self) -> str:
        lines = [f"{name:>16}  {fact}" for name, fact in self.facts().items()]
        return "\n".join([self.models.to_string(index=False), *lines])

    def _repr_html_(self) -> str:
        """Show models and facts as tables, for notebooks."""
        facts = pd.DataFrame(list(self.facts().items()), columns=["what", "how much"])
        return self.models.to_html(index=False) + facts.to_html(index=False)


def plan(models: Mapping[str, Any], data: Any, *, out: str | Path | None = None, **declared: Any) -> Plan:
    """Return what `stitchpipe.declaring.run` would do with the same arguments; errors as there.

    Builds every network once, and runs it on an image, to know its layers; writes nothing.

    Examples
    --------
    >>> sp.plan(models={"a": net_a, "b": net_b}, data=dataset)  # doctest: +SKIP
    """
    sweep = sweep_of(models, data, **declared)
    run = Run.open(sweep, RunPlace.at(out or f"runs/{sweep.name}"))
    sizes = run.extent.activation_bytes
    rows = [
        {
            "model": model,
            "layers": len(infos),
            "first": infos[0].name,
            "last": infos[-1].name,
            "activations": size_of(sum(size for (of, _), size in sizes.items() if of == model)),
        }
        for model, infos in run.layers.table.items()
    ]
    pairs = len(run.layers.names()) ** 2
    return Plan(
        place=run.place.url,
        models=pd.DataFrame(rows),
        images={name: len(split) for name, split in run.data.splits.items()},
        pairs={table.view: pairs for table in sweep.compare},
        numbers=sum(pairs * len(table.indices) for table in sweep.compare),
        stitches=len(run.stitches),
        activation_bytes=sum(sizes.values()),
    )
