"""The mathematics of comparing representations: arrays in, numbers out.

Plain functions take rows ``X [n, p]`` and ``Y [n, q]`` of NumPy, torch or any other array-API library and
return a float. Behind them every index is a pure function of mergeable moments (`PairMoments`), so that what
is too large for memory is summarised block by block and gives the same number.
"""

from stitchpipe.algebra.analysis import Analysis
from stitchpipe.algebra.canonical import CanonicalCorrelations, canonical_correlations
from stitchpipe.algebra.errors import AlgebraError, MomentsError, RowsError, UndefinedIndexError
from stitchpipe.algebra.index import Index, IndexValue
from stitchpipe.algebra.indices import INDICES, evaluate, index_named
from stitchpipe.algebra.indices.cca import cca, cca_sq
from stitchpipe.algebra.indices.cka import cka, cka_from_moments
from stitchpipe.algebra.indices.gulp import gulp
from stitchpipe.algebra.indices.nbs import nbs
from stitchpipe.algebra.indices.procrustes import (
    procrustes,
    procrustes_angle,
    procrustes_angle_from_moments,
    procrustes_from_moments,
)
from stitchpipe.algebra.indices.pwcca import pwcca
from stitchpipe.algebra.indices.ridge_cca import ridge_cca
from stitchpipe.algebra.indices.soft_matching import soft_matching
from stitchpipe.algebra.indices.svcca import svcca
from stitchpipe.algebra.inputs import Products, as_rows, stored_spacing
from stitchpipe.algebra.maps import (
    FAMILIES,
    AffineMap,
    JointFactor,
    Residual,
    direct_matching,
    fit_direct_matching,
    fit_low_rank,
    fit_map,
    fit_orthogonal,
    fit_ridge,
)
from stitchpipe.algebra.moments import (
    CentredRows,
    CrossMoments,
    Moments,
    NormProducts,
    PairMoments,
    augment,
    in_coordinates_of,
    pair_from_augmented,
)
from stitchpipe.algebra.spectrum import EPS64, Spectrum, StorageEps

__all__ = [
    "EPS64",
    "FAMILIES",
    "INDICES",
    "AffineMap",
    "AlgebraError",
    "Analysis",
    "CanonicalCorrelations",
    "CentredRows",
    "CrossMoments",
    "Index",
    "IndexValue",
    "JointFactor",
    "Moments",
    "MomentsError",
    "NormProducts",
    "PairMoments",
    "Products",
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
    "in_coordinates_of",
    "index_named",
    "nbs",
    "pair_from_augmented",
    "procrustes",
    "procrustes_angle",
    "procrustes_angle_from_moments",
    "procrustes_from_moments",
    "pwcca",
    "ridge_cca",
    "soft_matching",
    "stored_spacing",
    "svcca",
]
