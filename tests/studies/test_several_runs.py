"""Studies that hold runs against each other: the same order and another, the same value and a biased one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stitchpipe.studies import study_named
from tests import synthetic_results as synthetic

HERE = synthetic.few_indices()


def asked(study, *others):
    """Return the findings of a study of a run and others."""
    evidence = synthetic.evidence(HERE)
    held = replace(evidence, others=tuple(synthetic.evidence(other) for other in others))
    return study_named(study).answer(held).findings


def test_the_same_pairs_rank_alike_but_for_an_index_that_is_turned_around():
    there = HERE.copy()
    turned = there["index"] == "cka"
    there.loc[turned, "value"] = 1 - there.loc[turned, "value"]
    (finding,) = asked("data-sets", there)
    table = finding.table.set_index("by")
    assert table.loc["Procrustes, squared (pooled)", "Spearman ρ"] == pytest.approx(1.0)
    assert table.loc["Linear CKA, debiased (pooled)", "Spearman ρ"] == pytest.approx(-1.0)
    assert table.loc["Linear CKA, debiased (pooled)", "Kendall τ"] == pytest.approx(-1.0)
    # Pairs of 27 layers but for each with itself.
    assert table.loc["Procrustes, squared (pooled)", "pairs"] == 27 * 26
    assert "4 of 5 measures" in finding.answer


def test_pairs_that_one_run_has_alone_are_counted():
    few = HERE[HERE["target_model"] != "C"]
    (finding,) = asked("data-sets", few)
    lost = HERE[HERE["method"].isna() & (HERE["target_model"] == "C")]
    itself = (lost["source_model"] == "C") & (lost["source_layer"] == lost["target_layer"])
    assert finding.left_out == (f"{int((~itself).sum())} numbers of pairs that only one run has",)


def test_one_run_alone_has_nothing_to_be_held_against():
    for study in ("data-sets", "samples"):
        answer = study_named(study).answer(synthetic.evidence(HERE))
        assert answer.findings == ()
        assert len(answer.lacking) == 1


def test_an_index_that_is_biased_by_few_images_is_found():
    few = HERE.assign(n_samples=50)
    biased = few["index"] == "procrustes"
    few.loc[biased, "value"] += 0.25
    (finding,) = asked("samples", few)
    table = finding.table.set_index("index")
    assert table.loc["Procrustes, squared (pooled)", "bias"] == pytest.approx(0.25)
    assert table.loc["Linear CKA, debiased (pooled)", "bias"] == pytest.approx(0.0)
    assert table["images"].tolist() == [50] * 3
    assert np.allclose(table["Spearman ρ"].astype(float), 1.0)
    assert "moves most by Procrustes, squared (pooled): by +0.250" in finding.answer


def test_a_null_in_closed_form_stands_beside_each_number_of_images():
    """Of one index a third of the pairs sink into their null with few images, of another none; one has no such form."""
    many = HERE.assign(effect_size=np.where(HERE["index"].isin(["cka", "procrustes"]), 40.0, np.nan))
    few = many.assign(n_samples=50)
    few["effect_size"] *= 0.5
    sunk = (few["index"] == "cka") & (few["target_model"] == "C")
    few.loc[sunk, "effect_size"] = 0.3
    evidence = replace(synthetic.evidence(many), others=(synthetic.evidence(few),))
    (finding,) = study_named("samples").answer(evidence).findings
    table = finding.table.set_index("index")
    cka, procrustes = table.loc["Linear CKA, debiased (pooled)"], table.loc["Procrustes, squared (pooled)"]
    assert procrustes["effect size"] == pytest.approx(20.0)
    assert procrustes[f"effect size, {int(HERE['n_samples'].max())} images"] == pytest.approx(40.0)
    assert procrustes["above the null"] == 1.0
    assert cka["above the null"] == pytest.approx(2 / 3, abs=0.02)
    assert np.isnan(table.loc["Direct matching, R² (pooled)", "above the null"])
    assert "% of the pairs of Linear CKA, debiased (pooled) are not 3 standard" in finding.answer
    shares = [effect for effect in finding.effects if effect.what.startswith("share above the closed-form")]
    assert len(shares) == 2
    assert all(effect.low < effect.value or effect.value == 1.0 for effect in shares)


def test_where_nothing_sinks_into_its_null_the_answer_is_silent_of_it():
    many = HERE.assign(effect_size=40.0)
    evidence = replace(synthetic.evidence(many), others=(synthetic.evidence(many.assign(n_samples=50)),))
    (finding,) = study_named("samples").answer(evidence).findings
    assert "closed-form" not in finding.answer
    assert (finding.table["above the null"] == 1.0).all()
