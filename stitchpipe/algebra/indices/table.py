"""Every index of the product. A new one is a file of its own, and its name here."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from stitchpipe.algebra.indices.agreement import AGREEMENT
from stitchpipe.algebra.indices.cca import CCA, CCA_SQ
from stitchpipe.algebra.indices.cka import CKA, CKA_BIASED
from stitchpipe.algebra.indices.cka_minibatch import CKA_MINIBATCH
from stitchpipe.algebra.indices.cka_rbf import CKA_RBF
from stitchpipe.algebra.indices.direct_matching import DIRECT_MATCHING
from stitchpipe.algebra.indices.gulp import GULP
from stitchpipe.algebra.indices.mutual_knn import MUTUAL_KNN
from stitchpipe.algebra.indices.nbs import NBS
from stitchpipe.algebra.indices.procrustes import PROCRUSTES, PROCRUSTES_ANGLE
from stitchpipe.algebra.indices.pwcca import PWCCA
from stitchpipe.algebra.indices.ridge_cca import RIDGE_CCA
from stitchpipe.algebra.indices.rsa import RSA
from stitchpipe.algebra.indices.rv import RV
from stitchpipe.algebra.indices.soft_matching import SOFT_MATCHING
from stitchpipe.algebra.indices.svcca import SVCCA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.algebra.index import Index

_ALIGNMENTS = (CKA, CKA_BIASED, RV)
_CORRELATIONS = (CCA, CCA_SQ, SVCCA, PWCCA, RIDGE_CCA)
_SHAPES = (PROCRUSTES, PROCRUSTES_ANGLE, NBS, GULP)
_FEATURES = (SOFT_MATCHING,)
_IMAGES = (CKA_RBF, CKA_MINIBATCH, MUTUAL_KNN, RSA, AGREEMENT)

INDICES: Mapping[str, Index] = MappingProxyType(
    {
        index.name: index
        for index in (*_ALIGNMENTS, *_CORRELATIONS, *_SHAPES, *_FEATURES, *DIRECT_MATCHING, *_IMAGES)
    }
)
"""Every index by its name in results, with the default of its parameter, in the order in which they are listed."""
