"""Cross moments of paired rows, without either side's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stitchpipe.algebra.inputs import paired_rows
from stitchpipe.algebra.moments.centring import centre
from stitchpipe.algebra.moments.checks import finite, rows_left, same_widths

if TYPE_CHECKING:
    from stitchpipe.algebra.inputs import Array


@dataclass(frozen=True, eq=False)
class CrossMoments:
    """Cross moments of paired rows ``X [n, p]``, ``Y [n, q]``, without either side's own second moments.

    ``comoment [p, q]`` is Σ (x − mean_x)(y − mean_y)ᵀ.
    """

    n: int
    mean_x: Array
    mean_y: Array
    comoment: Array

    @classmethod
    def from_block(cls, X: Array, Y: Array) -> CrossMoments:
        """Summarise paired rows. Time O(n·p·q), memory O(n·(p + q) + p·q). Raises RowsError, MomentsError."""
        X, Y = paired_rows(X, Y)
        mean_x, centred_x = centre(X)
        mean_y, centred_y = centre(Y)
        return cls(X.shape[0], mean_x, mean_y, finite(centred_x.T @ centred_y))

    def merge(self, other: CrossMoments) -> CrossMoments:
        """Return the cross moments of both sets of rows together. Time and memory O(p·q)."""
        same_widths(self.comoment.shape, other.comoment.shape)
        n = self.n + other.n
        step_x, step_y = other.mean_x - self.mean_x, other.mean_y - self.mean_y
        # Sums about either mean add up once the step between the means is accounted for: C = C₁ + C₂ +
        # n₁n₂/n·δ_x δ_yᵀ.
        between = (self.n * other.n / n) * (step_x[:, None] * step_y[None, :])
        share = other.n / n
        return CrossMoments(
            n,
            self.mean_x + step_x * share,
            self.mean_y + step_y * share,
            self.comoment + other.comoment + between,
        )

    def pick(self, x: slice, y: slice) -> CrossMoments:
        """Return the cross moments of some adjacent columns of either side."""
        return CrossMoments(self.n, self.mean_x[x], self.mean_y[y], self.comoment[x, y])

    def swap(self) -> CrossMoments:
        """Return the same with both sides exchanged."""
        return CrossMoments(self.n, self.mean_y, self.mean_x, self.comoment.T)

    def without(self, part: CrossMoments) -> CrossMoments:
        """Return the cross moments of the rows that are not in `part`, as `Moments.without`."""
        same_widths(self.comoment.shape, part.comoment.shape)
        n = rows_left(self.n, part.n)
        mean_x = self.mean_x + (self.mean_x - part.mean_x) * (part.n / n)
        mean_y = self.mean_y + (self.mean_y - part.mean_y) * (part.n / n)
        between = (n * part.n / self.n) * ((part.mean_x - mean_x)[:, None] * (part.mean_y - mean_y)[None, :])
        return CrossMoments(n, mean_x, mean_y, self.comoment - part.comoment - between)
