"""Agreement of predictions: what two models say of the same samples, from their logits."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

from stitchpipe.algebra.errors import MomentsError, UndefinedIndexError
from stitchpipe.algebra.guards import within
from stitchpipe.algebra.index import Index
from stitchpipe.algebra.inputs import Array, namespace, paired_rows
from stitchpipe.measures import Measure


@dataclass(frozen=True)
class PredictionSums:
    """Sums over the predictions of two models for the same n samples.

    Attributes
    ----------
    n, classes
        Number of samples and of classes.
    agreeing
        Samples for which both models give the same class the largest logit (the first of equal ones).
    divergence
        Sum of the Jensen–Shannon divergences of the two softmax distributions, in nats.
    """

    n: int
    classes: int
    agreeing: int
    divergence: float

    @classmethod
    def from_block(cls, X: Array, Y: Array) -> PredictionSums:
        """Summarise logits ``X [n, c]``, ``Y [n, c]``, class k of X being class k of Y. Time and memory O(n·c).

        Raises
        ------
        RowsError
            Unusable arrays.
        UndefinedIndexError
            ``different_classes``; ``degenerate`` for fewer than 2 classes.
        """
        X, Y = paired_rows(X, Y)
        n, classes = X.shape
        _check_classes(classes, Y.shape[1])
        xp = namespace(X)
        same = xp.astype(xp.argmax(X, axis=1) == xp.argmax(Y, axis=1), xp.int64)
        log_p, log_q = _log_softmax(X), _log_softmax(Y)
        log_m = xp.logaddexp(log_p, log_q) - log(2.0)
        divergences = xp.exp(log_p) * (log_p - log_m) + xp.exp(log_q) * (log_q - log_m)
        return cls(n, classes, int(xp.sum(same)), 0.5 * float(xp.sum(divergences)))

    def merge(self, other: PredictionSums) -> PredictionSums:
        """Return the sums over the samples of both. Raises MomentsError for another number of classes."""
        if self.classes != other.classes:
            raise MomentsError(
                where="agreement of predictions",
                expected=f"sums over {self.classes} classes",
                found=f"{other.classes} classes",
                remedy="Merge only blocks of samples of one pair of models.",
            )
        return PredictionSums(
            self.n + other.n, self.classes, self.agreeing + other.agreeing, self.divergence + other.divergence
        )

    @property
    def agreement(self) -> float:
        """The share of samples with the same predicted class."""
        return self.agreeing / self.n

    @property
    def mean_divergence(self) -> float:
        """The mean Jensen–Shannon divergence, in nats, at most ln 2."""
        return within(self.divergence / self.n, 0.0, log(2.0), index="js_divergence")


def agreement(X: Array, Y: Array) -> float:
    """Return the share of samples for which logits ``X [n, c]`` and ``Y [n, c]`` predict the same class, in [0, 1].

    Two models of accuracy a agree on at least 2a − 1 of the samples whatever they represent: read it beside their
    accuracies. Where logits are equal the first class counts.

    Raises
    ------
    RowsError
        Unusable arrays.
    UndefinedIndexError
        ``different_classes``: one side has more classes than the other; ``degenerate``: fewer than 2 classes.

    Notes
    -----
    Time and memory O(n·c). Fort, Hu and Lakshminarayanan 2019; Klabunde et al. 2023.
    """
    return PredictionSums.from_block(X, Y).agreement


def js_divergence(X: Array, Y: Array) -> float:
    """Return the mean Jensen–Shannon divergence of softmax(X) and softmax(Y), in nats, in [0, ln 2].

    ½KL(p‖m) + ½KL(q‖m) with m = (p + q)/2, averaged over samples: unlike top-1 agreement it sees confidence, and
    unlike KL it is symmetric and bounded. Computed from log-softmax, so that no logit is too large. Errors as
    `agreement`. Lin 1991.
    """
    return PredictionSums.from_block(X, Y).mean_divergence


def _log_softmax(logits: Array) -> Array:
    xp = namespace(logits)
    largest = xp.max(logits, axis=1, keepdims=True)
    # halves, lest the difference overflow; what is e^-2000 times as likely has no part in any sum
    shifted = 2.0 * xp.clip(0.5 * logits - 0.5 * largest, -1000.0, 0.0)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=1, keepdims=True))


def _check_classes(source: int, target: int) -> None:
    if source != target:
        raise UndefinedIndexError(
            status="different_classes",
            where="agreement of predictions",
            expected="logits over the same classes on both sides",
            found=f"{source} and {target} classes",
            remedy="Compare models trained on one set of classes, or compare a hidden layer.",
        )
    if source < 2:
        raise UndefinedIndexError(
            status="degenerate",
            where="agreement of predictions",
            expected="at least 2 classes",
            found=f"{source}",
            remedy="A single logit decides nothing by softmax: stack it beside a column of zeros.",
        )


AGREEMENT = Index(
    Measure(
        name="agreement",
        label="Agreement of predictions",
        meaning="Share of images for which both networks predict the same class, from stored logits. Chance and "
        "accuracy set its scale: two good classifiers agree.",
        kind="index",
        computed_from="logits",
        range=(0.0, 1.0),
        larger_is_more_similar=True,
        symmetric=True,
        independent_rows=True,
        cost="O(n) per pair",
        literature="Geirhos et al. 2020; Klabunde et al. 2025",
    )
)
