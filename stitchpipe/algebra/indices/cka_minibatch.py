"""Minibatch CKA: unbiased HSIC averaged over batches of samples, for many layers in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING

from stitchpipe.algebra.errors import MomentsError, RowsError, UndefinedIndexError
from stitchpipe.algebra.guards import within
from stitchpipe.algebra.index import Index
from stitchpipe.algebra.inputs import Array, as_rows, namespace, paired_rows
from stitchpipe.algebra.moments import centre
from stitchpipe.algebra.samples.sample_matrix import u_centred
from stitchpipe.algebra.spectrum import EPS64
from stitchpipe.measures import ISOTROPIC, Measure

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH_ROWS = 256
"""Samples in a batch, unless another number is asked for."""


@dataclass(frozen=True, eq=False)
class MinibatchHSIC:
    """Sums over batches of b samples each of b times the unbiased HSIC of every two of L layers.

    Weighing batches by their size makes the last, shorter one count for what it holds; where all are equal it
    is the plain mean over batches.

    Attributes
    ----------
    n
        Samples in all batches.
    batches
        Their number.
    hsic
        ``[L, L]``.
    kernel_squares
        ``[L]``, Σ ‖K̃‖²_F/(b−3) of the centred kernels: what rounding errors of `hsic` are relative to.
    mean_squares
        ``[L]``, Σ ‖mean‖⁴/(b−3), to tell constant layers.
    """

    n: int
    batches: int
    hsic: Array
    kernel_squares: Array
    mean_squares: Array

    @classmethod
    def from_batch(cls, layers: Sequence[Array]) -> MinibatchHSIC:
        """Summarise one batch: the rows ``[b, width]`` of each layer for the same b samples.

        The U-centred kernels of all layers stand side by side as rows of ``[L, b²]``, so that all pairs are one
        product. Time O(b²·L² + b²·Σ width), memory O(b²·L).

        Raises
        ------
        RowsError
            Unusable arrays, other row counts, no layers.
        UndefinedIndexError
            ``too_few_rows``: b < 4.
        MomentsError
            Fourth powers overflow.
        """
        kernels, kernel_squares, mean_squares, sizes = [], [], [], []
        for number in range(len(layers)):
            rows = as_rows(layers[number], f"layer {number}")  # one at a time: a caller may read them now
            sizes.append(rows.shape[0])
            xp = namespace(rows)
            mean, centred = centre(rows)
            kernel = centred @ centred.T
            kernels.append(xp.reshape(u_centred(kernel, index="cka_minibatch"), (-1,)))
            kernel_squares.append(xp.sum(kernel * kernel))
            mean_squares.append(xp.sum(mean * mean) ** 2)
        _check_same_rows(sizes)
        b = sizes[0]
        xp = namespace(*kernels)
        flat = xp.stack(kernels)
        # Inner products of U-centred kernels are b(b−3)·HSIC_u (Song et al. 2012). Division by b−3 alone leaves
        # the factor b that weighs each batch by its size.
        hsic = (flat @ flat.T) / (b - 3)
        if not bool(xp.all(xp.isfinite(hsic))):
            raise MomentsError(
                where="cka_minibatch",
                expected="values whose fourth powers fit into float64",
                found="an overflow",
                remedy="Rescale the representation; the index does not depend on its scale.",
            )
        return cls(b, 1, hsic, xp.stack(kernel_squares) / (b - 3), xp.stack(mean_squares) / (b - 3))

    def merge(self, other: MinibatchHSIC) -> MinibatchHSIC:
        """Return the sums over the batches of both. Time O(L²). Raises RowsError for other layers."""
        if self.hsic.shape != other.hsic.shape:
            raise RowsError(
                where="cka_minibatch",
                expected=f"sums over the same {self.hsic.shape[0]} layers",
                found=f"{other.hsic.shape[0]} layers",
                remedy="Summarise every batch of the same layers, in the same order.",
            )
        return MinibatchHSIC(
            self.n + other.n,
            self.batches + other.batches,
            self.hsic + other.hsic,
            self.kernel_squares + other.kernel_squares,
            self.mean_squares + other.mean_squares,
        )

    def cka(self, x: int, y: int) -> float:
        """Return minibatch CKA of layers number x and y.

        Raises
        ------
        UndefinedIndexError
            ``constant``: a layer does not vary within any batch; ``degenerate``: the samples of every batch are
            equally far apart.
        """
        scale = sqrt(self._own(x, "source")) * sqrt(self._own(y, "target"))
        return within(float(self.hsic[x, y]) / scale, -1.0, 1.0, index="cka_minibatch")

    def _own(self, layer: int, side: str) -> float:
        """Return the sum of a layer's HSIC with itself, refusing what is not above its rounding."""
        own, kernel = float(self.hsic[layer, layer]), float(self.kernel_squares[layer])
        rows = self.n / self.batches
        # The kernel holds second powers of the rows and its squares fourth powers: hence the fourth power
        # of the rounding √n·eps that `variation` allows the rows themselves.
        if kernel <= (8.0 * EPS64 * sqrt(rows)) ** 4 * float(self.mean_squares[layer]):
            status, fault = "constant", "does not vary within any batch"
        # A layer that varies may still have no HSIC with itself, where all samples are equally far apart:
        # then what is left of the kernel is rounding.
        elif own <= (64.0 * EPS64) ** 2 * rows * kernel:
            status, fault = "degenerate", "has all samples of a batch equally far apart"
        else:
            return own
        raise UndefinedIndexError(
            status=status,
            where="cka_minibatch",
            expected="batches whose samples are at different distances from each other",
            found=f"a {side} that {fault}",
            remedy="Use larger batches in random order, or leave this layer out.",
        )


def cka_minibatch(X: Array, Y: Array, *, batch_rows: int = BATCH_ROWS) -> float:
    """Return minibatch CKA of paired rows ``X [n, p]``, ``Y [n, q]``, in [−1, 1].

    Σ_B HSIC_u(X_B, Y_B) / √(Σ_B HSIC_u(X_B, X_B)·Σ_B HSIC_u(Y_B, Y_B)), linear kernels, over consecutive batches of
    `batch_rows` samples, as near to equal as they can be and weighed by their size. Each term is unbiased, so the
    batch size changes the noise and not the limit; with a single batch it is `cka`. Rows should be in random order
    (batches of one class see no differences between classes), one per image.

    Raises
    ------
    RowsError
        Unusable arrays, batches of fewer than 4.
    UndefinedIndexError
        ``too_few_rows`` (n < 4); ``constant``; ``degenerate`` (the samples of every batch equally far apart).

    Notes
    -----
    Time O(n·b·(p + q)), memory O(b² + b·(p + q)) for batches of b. Nguyen, Raghu and Kornblith 2021; Song et al.
    2012.
    """
    X, Y = paired_rows(X, Y)
    if batch_rows < 4:
        raise RowsError(
            where="cka_minibatch",
            expected="batches of at least 4 samples, which the unbiased estimator needs",
            found=f"batch_rows = {batch_rows}",
            remedy=f"Leave it at {BATCH_ROWS} unless memory is short.",
        )
    n = int(X.shape[0])
    count = max(1, min(-(-n // batch_rows), n // 4))
    edges = [n * part // count for part in range(count + 1)]
    batches = (MinibatchHSIC.from_batch([X[first:last], Y[first:last]]) for first, last in pairwise(edges))
    return reduce(MinibatchHSIC.merge, batches).cka(0, 1)


def _check_same_rows(sizes: Sequence[int]) -> None:
    if len(set(sizes)) != 1:
        raise RowsError(
            where="cka_minibatch",
            expected="at least one layer, all with the same samples of the batch",
            found=f"row counts {sorted(set(sizes))}",
            remedy="Take the rows of one batch from every layer.",
        )


CKA_MINIBATCH = Index(
    Measure(
        name="cka_minibatch",
        label="Minibatch CKA",
        meaning="Linear CKA of unbiased estimates averaged over minibatches, for widths and sample counts beyond the "
        "other forms. Its expectation depends on the size of the batches only through the ratio.",
        kind="index",
        computed_from="minibatches",
        range=(-1.0, 1.0),
        larger_is_more_similar=True,
        symmetric=True,
        source_invariances=ISOTROPIC,
        target_invariances=ISOTROPIC,
        independent_rows=True,
        cost="O(1) per pair; O(b²·p) for every batch of b images",
        literature="Nguyen et al. 2021",
    )
)
