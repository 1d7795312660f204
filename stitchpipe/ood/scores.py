"""What is reported about one stitched representation."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Statistic:
    """A number, or the status that says why there is none; `note` holds what belongs beside it."""

    value: float | None
    status: str = "ok"
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """How far a stitched representation is from the target's own; 0 is not at all, for each of them.

    Attributes
    ----------
    mahalanobis, knn
        |2·AUROC − 1| of a detector on pooled features, in [0, 1]; the note holds the AUROC, as
        ``auroc=0.930000``: above ½ where stitched rows are farther than native ones.
    frechet
        Fréchet distance of pooled [mean, spread] between stitched and native test rows, over the native total
        variance, ≥ 0; the note holds the floor, as ``floor=0.012000``: the same ratio between the native
        training and test rows, hence what two native samples of this size differ by.
    negative_mass
        Share of the absolute mass below zero, in [0, 1]; only where the layer's own values are never negative.
    """

    mahalanobis: Statistic
    knn: Statistic
    frechet: Statistic
    negative_mass: Statistic

    def named(self) -> dict[str, Statistic]:
        """Return the statistics under the names that results use: ``ood_mahalanobis`` and so on."""
        return {f"ood_{field.name}": getattr(self, field.name) for field in fields(self)}
