"""One number with everything that is needed to know what it is: for stitches, of which there are few."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.measures import Number


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two layers that a number is about.

    Attributes
    ----------
    width
        Its features under the view: p of a source, q of a target.
    digest
        Of its content on the split where the number was taken; ``identity:…`` of what was never stored.
    depth
        Its place in the network's order, from 0; None where that is not known.
    """

    model: str
    layer: str
    width: int
    digest: str
    depth: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a number is about; all measures of two layers have it in common. `COLUMNS` say more."""

    source: Side
    target: Side
    view: str
    grid: str
    split: str
    fit_split: str | None = None
    n_samples: int
    n_rows: int
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """How a stitch was made. `COLUMNS` say more."""

    method: str
    init: str | None = None
    objective: str | None = None
    seed: int | None = None
    steps: int | None = None
    final_loss: float | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    augmented: int | None = None
    precision: str | None = None


MAKING: Final = tuple(field.name for field in fields(Making) if field.name != "final_loss")
"""The columns that tell stitches of one pair of layers apart: how they were made. The loss is what came of it."""


@dataclass(frozen=True, slots=True)
class Result:
    """One number, always directed: what a measure says about its subject.

    Attributes
    ----------
    index
        The measure, by its name in its registry.
    making
        How it was made, of a stitch; None of a comparison.
    """

    index: str
    number: Number
    subject: Subject
    making: Making | None = None

    def columns(self) -> dict[str, Any]:
        """Return what stands in the columns; what is not here is null."""
        subject, number = self.subject, self.number
        sides = {
            f"{name}_{column}": getattr(side, column)
            for name, side in (("source", subject.source), ("target", subject.target))
            for column in ("model", "layer", "depth", "digest")
        }
        shared = ("view", "grid", "split", "fit_split", "n_samples", "n_rows", "key")
        return {
            "index": self.index,
            "value": number.value,
            "status": number.status,
            "reason": number.reason,
            "p": subject.source.width,
            "q": subject.target.width,
            **sides,
            **{name: getattr(subject, name) for name in shared},
            **number.extras,
            **({} if self.making is None else asdict(self.making)),
        }


def making_in_words(making: Mapping[str, Any]) -> str:
    """Return how a stitch was made, of what is known of it: ``TLM from random for hard_labels, seed 0, 300 steps``."""
    method = str(making.get("method", ""))
    text = method.upper() if method in ("dm", "tlm") else method.replace("dm_", "DM, ")
    if "init" in making:
        text += f" from {making['init']}"
    if "objective" in making:
        text += f" for {making['objective']}"
    if "seed" in making:
        text += f", seed {making['seed']:.0f}"
    return text + (f", {making['steps']:.0f} steps" if "steps" in making else "")
