"""The RV coefficient: biased linear CKA under its older name."""

from __future__ import annotations

from dataclasses import replace

from stitchpipe.algebra.indices.cka import CKA_BIASED

RV = replace(
    CKA_BIASED,
    measure=replace(
        CKA_BIASED.measure,
        name="rv",
        label="RV coefficient",
        meaning="Another name of cka_biased: the same number.",
        equals="cka_biased",
        literature="Escoufier 1973; Robert and Escoufier 1976",
    ),
)
