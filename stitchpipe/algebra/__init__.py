"""The mathematics of comparing representations: arrays in, numbers out.

Plain functions take rows ``X [n, p]`` and ``Y [n, q]`` of NumPy, torch or any other array-API library and
return a float. Behind them every index is a pure function of mergeable moments (`PairMoments`), so that what
is too large for memory is summarised block by block and gives the same number.
"""

from stitchpipe.algebra.analysis import Analysis, evaluate
from stitchpipe.algebra.cca import (
    CanonicalCorrelations,
    canonical_correlations,
    cca,
    cca_sq,
    pwcca,
    ridge_cca,
    svcca,
)
from stitchpipe.algebra.cka import cka, cka_from_moments
from stitchpipe.algebra.description import IndexValue
from stitchpipe.algebra.errors import (
    AlgebraError,
    MomentsError,
    RowsError,
    UndefinedIndexError,
)
from stitchpipe.algebra.gulp import gulp
from stitchpipe.algebra.indices import INDICES
from stitchpipe.algebra.inputs import as_rows, stored_spacing
from stitchpipe.algebra.least_squares import fit_direct_matching, fit_low_rank, fit_ridge
from stitchpipe.algebra.map_families import FAMILIES, fit_map
from stitchpipe.algebra.maps import AffineMap, Residual
from stitchpipe.algebra.matching import direct_matching
from stitchpipe.algebra.naming import index_named
from stitchpipe.algebra.orthogonal import fit_orthogonal
from stitchpipe.algebra.procrustes import (
    nbs,
    procrustes,
    procrustes_angle,
    procrustes_angle_from_moments,
    procrustes_from_moments,
)
from stitchpipe.algebra.spectrum import EPS64, Spectrum, StorageEps
from stitchpipe.algebra.summaries import (
    CrossMoments,
    Moments,
    NormProducts,
    PairMoments,
    augment,
    pair_from_augmented,
)
from stitchpipe.algebra.triangular import JointFactor

__all__ = [
    "EPS64",
    "FAMILIES",
    "INDICES",
    "AffineMap",
    "AlgebraError",
    "Analysis",
    "CanonicalCorrelations",
    "CrossMoments",
    "IndexValue",
    "JointFactor",
    "Moments",
    "MomentsError",
    "NormProducts",
    "PairMoments",
    "Residual",
    "RowsError",
    "Spectrum",
    "StorageEps",
    "UndefinedIndexError",
    "as_rows",
    "augment",
    "canonical_correlations",
    "cca",
    "cca_sq",
    "cka",
    "cka_from_moments",
    "direct_matching",
    "evaluate",
    "fit_direct_matching",
    "fit_low_rank",
    "fit_map",
    "fit_orthogonal",
    "fit_ridge",
    "gulp",
    "index_named",
    "nbs",
    "pair_from_augmented",
    "procrustes",
    "procrustes_angle",
    "procrustes_angle_from_moments",
    "procrustes_from_moments",
    "pwcca",
    "ridge_cca",
    "stored_spacing",
    "svcca",
]
