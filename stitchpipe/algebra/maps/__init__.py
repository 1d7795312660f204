"""Least-squares maps between representations: how they are fitted from moments, and how well they do elsewhere."""

from stitchpipe.algebra.maps.affine import fit_direct_matching
from stitchpipe.algebra.maps.affine_map import AffineMap, Residual
from stitchpipe.algebra.maps.families import FAMILIES, family_named, fit_map
from stitchpipe.algebra.maps.family import Family
from stitchpipe.algebra.maps.low_rank import LOW_RANK, fit_low_rank
from stitchpipe.algebra.maps.matching import direct_matching
from stitchpipe.algebra.maps.orthogonal import fit_orthogonal
from stitchpipe.algebra.maps.ridge import fit_ridge
from stitchpipe.algebra.maps.triangular import JointFactor

__all__ = [
    "FAMILIES",
    "LOW_RANK",
    "AffineMap",
    "Family",
    "JointFactor",
    "Residual",
    "direct_matching",
    "family_named",
    "fit_direct_matching",
    "fit_low_rank",
    "fit_map",
    "fit_orthogonal",
    "fit_ridge",
]
