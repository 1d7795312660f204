"""Moments of the rows of one matrix: count, mean and centred sums of products, in float64.

Blocks are centred on their own mean, so nothing cancels however large the mean is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from stitchpipe.algebra.inputs import Array, as_rows, namespace
from stitchpipe.algebra.moments.centring import centre
from stitchpipe.algebra.moments.checks import finite, rows_left, same_widths
from stitchpipe.algebra.moments.cross import CrossMoments
from stitchpipe.algebra.spectrum import EPS64, Neurons, Spectrum


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of the rows of one matrix, which may hold several layers side by side.

    Attributes
    ----------
    n
        Number of rows.
    mean
        ``[P]``.
    comoment
        ``[P, P]``, Σ (z − mean)(z − mean)ᵀ: n times the covariance.
    neurons
        What the columns are coordinates of; None where they are the neurons themselves. Merging, leaving out and
        picking lose it.
    """

    n: int
    mean: Array
    comoment: Array
    neurons: Neurons | None = None

    @classmethod
    def from_block(cls, Z: Array) -> Moments:
        """Summarise the rows ``Z [n, P]``. Time O(n·P²). Raises RowsError, MomentsError."""
        Z = as_rows(Z, "Z")
        mean, centred = centre(Z)
        return cls(Z.shape[0], mean, finite(centred.T @ centred))

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both sets of rows together. Time and memory O(P²).

        Stacks of several layers, ``mean [L, P]`` and ``comoment [L, P, P]``, are merged layer by layer; `without` too.
        """
        same_widths(self.mean.shape, other.mean.shape)
        n = self.n + other.n
        step = other.mean - self.mean
        # Sums about either mean add up once the step δ between the means is accounted for: C = C₁ + C₂ +
        # n₁n₂/n·δδᵀ.
        between = (self.n * other.n / n) * (step[..., :, None] * step[..., None, :])
        return Moments(n, self.mean + step * (other.n / n), self.comoment + other.comoment + between)

    def without(self, part: Moments) -> Moments:
        """Return the moments of the rows that are not in `part`: the inverse of `merge`.

        Loses about n/(n − part.n) times the digits of a sum: for leaving a small part out, not for taking most away.

        Raises
        ------
        MomentsError
            `part` has as many rows, or other columns.
        """
        same_widths(self.mean.shape, part.mean.shape)
        n = rows_left(self.n, part.n)
        # The equations of `merge` are solved for one of the two sides, with `self` as the whole.
        mean = self.mean + (self.mean - part.mean) * (part.n / n)
        step = part.mean - mean
        between = (n * part.n / self.n) * (step[..., :, None] * step[..., None, :])
        return Moments(n, mean, self.comoment - part.comoment - between)

    def decomposed(self, spectrum: Spectrum) -> Moments:
        """Return the same moments with a spectrum that was computed elsewhere, which must be theirs."""
        moments = Moments(self.n, self.mean, self.comoment, self.neurons)
        # A cached property keeps its value under its own name.
        moments.__dict__["spectrum"] = spectrum
        return moments

    @cached_property
    def spectrum(self) -> Spectrum:
        """All directions, computed once however many pairs these rows take part in. Time O(P³)."""
        return Spectrum.of(self.comoment, self.neurons)

    def retained(self, storage_eps: float = EPS64) -> Spectrum:
        """Return the directions above rounding for rows kept at that spacing (`Spectrum.retained`)."""
        # Rounding at storage went with the size of the values that were stored, which are those of the neurons.
        mean = self.mean if self.neurons is None else self.neurons.mean
        return self.spectrum.retained(n=self.n, mean=mean, storage_eps=storage_eps)

    @cached_property
    def total(self) -> float:
        """Σ‖z − mean‖², the trace of the comoment."""
        return float(namespace(self.comoment).linalg.trace(self.comoment))

    @cached_property
    def inverse_participation(self) -> float:
        """‖C‖²_F/(tr C)² of the comoment C, between 1/rank and 1. Only where the rows vary."""
        xp = namespace(self.comoment)
        # The division comes before the squares, which could overflow.
        scaled = self.comoment / self.total
        return float(xp.sum(scaled * scaled))

    @cached_property
    def third_participation(self) -> float:
        """Return tr C³/(tr C)³ of the comoment C, between 1/rank² and 1. Only where the rows vary. Time O(P³)."""
        xp = namespace(self.comoment)
        scaled = self.comoment / self.total
        return float(xp.sum((scaled @ scaled) * scaled))

    @cached_property
    def unaugmented(self) -> Moments:
        """The moments without the last column, for rows of `augment`; always the same object."""
        return self.pick(slice(0, self.mean.shape[0] - 1))

    def pick(self, columns: slice) -> Moments:
        """Return the moments of some adjacent columns, for example of one layer."""
        return Moments(self.n, self.mean[columns], self.comoment[columns, columns])

    def between(self, x: slice, y: slice) -> CrossMoments:
        """Return the cross moments of two ranges of columns."""
        return CrossMoments(self.n, self.mean[x], self.mean[y], self.comoment[x, y])
