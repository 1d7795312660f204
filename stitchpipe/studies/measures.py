"""What a stitch is judged by: names as in results, titles as on the page."""

from __future__ import annotations

RELATIVE = "stitch_relative_accuracy"

OOD = {
    "ood_mahalanobis": "Mahalanobis",
    "ood_knn": "k-NN",
    "ood_vim": "ViM residual",
    "ood_frechet": "Fréchet ratio",
    "ood_negative_mass": "negative mass",
    "ood_mahalanobis_positional": "positional Mahalanobis",
    "ood_knn_positional": "positional k-NN",
    "ood_vim_positional": "positional ViM residual",
    "ood_frechet_positional": "positional Fréchet ratio",
    "ood_energy": "energy of logits",
    "ood_detector": "trained detector",
}
"""Distances from the target's distribution: of each, larger is further away and 0 is not at all."""

OF_THE_DETECTOR = {
    "ood_detector_aupr": "detector's AUPR",
    "ood_detector_fpr95": "detector's FPR95",
    "ood_detector_sanity": "detector's sanity AUROC",
}
"""What stands beside the trained detector's two-sided AUROC; one-sided."""

FIDELITY = {
    "stitch_accuracy": "accuracy",
    RELATIVE: "relative accuracy",
    "stitch_agreement": "agreement with the target",
    "stitch_kl": "KL from the target",
}
"""How well the stitched network does the task, and how far it answers as its target does."""

TITLES = {**FIDELITY, **OOD, **OF_THE_DETECTOR}
"""Every measure with its title, in the order of the page."""

MEASURES = tuple(TITLES)

BESIDE = {"auroc": "AUROC", "floor": "floor", "warned": "warned"}
"""What may stand beside a stitch's number, by column, with its title."""
