"""Study controls: an index that tells controls from networks, and one that does not."""

from __future__ import annotations

import pandas as pd
import pytest

from stitchpipe.studies.separation import auc, d_prime
from tests import synthetic_results as synthetic
from tests.studies.asked import found

LAYERS = synthetic.LAYERS[:4]
ORDER = {"A": LAYERS, "B": LAYERS, "raw": LAYERS, "shuffled": LAYERS, "codes": ("codes",)}
FACTS = {
    "kinds": {"A": "trained", "B": "trained", "raw": "untrained", "shuffled": "control", "codes": "control"},
    "controls": {"shuffled": ("permuted", "A"), "codes": ("random codes", None)},
}


def results(values, p_value=0.5, order=ORDER, targets=("A", "B")):
    """Return an index over all pairs: its value by the model of the source."""
    rows = []
    for source, source_layers in order.items():
        for layer in source_layers:
            for target in targets:
                for number, target_layer in enumerate(LAYERS):
                    value = values.get(source, 0.9) + number / 1000
                    rows.append(synthetic.record(
                        "pooled", (source, layer, target, target_layer), index="cka", value=value, p_value=p_value,
                        p=8, q=8))  # fmt: skip
    return pd.DataFrame(rows, columns=synthetic.SCHEMA.names)


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """Let the widths of made-up layers be known for the layer of codes."""
    monkeypatch.setattr(
        synthetic, "stage", lambda layer: int(layer[5]) - 1 if layer.startswith("layer") else 0
    )


def test_an_index_that_knows_controls_stands_above_them():
    finding = found("controls", results({"raw": 0.4, "shuffled": 0.0, "codes": 0.1}), ORDER, **FACTS)[
        "controls"
    ]
    assert finding.numbers == {"cases": 3, "without interval": 0, "told apart": 3}
    table = finding.table.set_index("control")
    assert table["area"].tolist() == [1.0, 1.0, 1.0]
    assert table.loc["permuted", "pairs"] == 4  # each layer of A with itself, of other images
    assert table.loc["random codes", "pairs"] == 8
    assert table.loc["permuted", "p < 0.05"] == 0.0


def test_the_claim_fails_for_an_index_that_takes_codes_for_networks():
    values = {"raw": 0.4, "shuffled": 0.0, "codes": 0.95}
    finding = found("controls", results(values, p_value=0.01), ORDER, **FACTS)["controls"]
    assert finding.numbers["told apart"] == 2
    assert "Not so: Linear CKA, debiased (pooled), random codes (0.00)." in finding.answer
    assert finding.table.set_index("control").loc["permuted", "p < 0.05"] == 1.0


def test_a_control_of_one_among_many_networks_has_no_interval_and_is_not_called_blind():
    networks = tuple("ABCDEF")
    order = {**dict.fromkeys(networks, LAYERS), "shuffled": LAYERS}
    facts = {
        "kinds": {**dict.fromkeys(networks, "trained"), "shuffled": "control"},
        "controls": {"shuffled": ("permuted", "A")},
    }
    rows = results({"shuffled": 0.0}, order=order, targets=networks)
    finding = found("controls", rows, order, **facts)["controls"]
    assert finding.numbers == {"cases": 1, "without interval": 1, "told apart": 0}
    assert "Not so" not in finding.answer
    assert "No interval" in finding.answer
    assert "permuted (1.00)" in finding.answer


def test_without_controls_nothing_is_said():
    assert set(found("controls", synthetic.few_indices())) == {"one-shape"}


def test_area_and_d_prime_are_the_textbooks():
    values = pd.Series([3.0, 1.0, 2.0, 2.0, 5.0]).to_numpy()
    first = pd.Series([True, False, True, False, True]).to_numpy()
    # Of six pairs of one from each kind, five are in order and one is level.
    assert auc(values, first) == pytest.approx(5.5 / 6)
    spread = ((7 / 3 + 0.5) / 2) ** 0.5
    assert d_prime(values, first) == pytest.approx((10 / 3 - 1.5) / spread)


SIX = tuple(f"layer1.{number}" for number in range(6))
TWO_STAGES = {"A": (0, 0, 0, 1, 1, 1)}


def layered(value):
    """Return an index over all pairs of layers of one network: what a function makes of their places."""
    rows = [
        synthetic.record("pooled", ("A", x, "A", y), index="cka", value=value(i, j), p=8, q=8)
        for i, x in enumerate(SIX)
        for j, y in enumerate(SIX)
    ]
    return pd.DataFrame(rows, columns=synthetic.SCHEMA.names)


def of_one_shape(value, **facts):
    return found("controls", layered(value), {"A": SIX}, **facts).get("one-shape")


def test_an_index_that_falls_with_depth_does_so_within_a_stage_and_in_a_network_of_one_shape():
    within = of_one_shape(lambda i, j: 1 - 0.1 * abs(i - j), stages=TWO_STAGES)
    (row,) = within.table.to_dict("records")
    assert row["pairs"] == 2 * 3 * 2
    assert row["one shape"] == pytest.approx(-1.0)
    assert row["one shape, high"] < 0
    assert row["other shapes"] == pytest.approx(-1.0)
    whole = of_one_shape(lambda i, j: 1 - 0.1 * abs(i - j))
    assert whole.table["pairs"].tolist() == [30]
    assert whole.table["other shapes"].tolist() == [None]
    assert "by 1 of 1 indices" in whole.answer


def test_an_index_that_knows_shapes_alone_is_found_out():
    """Layers of one stage are as alike as each other, whatever lies between: depth is a matter of shape."""
    wobble = [[0.0, 0.3, 0.9], [0.3, 0.0, 0.8], [0.9, 0.8, 0.0]]

    def value(i, j):
        return 0.9 + 0.01 * wobble[i % 3][j % 3] if i // 3 == j // 3 else 0.2

    finding = of_one_shape(value, stages=TWO_STAGES)
    (row,) = finding.table.to_dict("records")
    assert row["one shape, high"] > 0
    assert "by 0 of 1 indices" in finding.answer
    assert "Not so: Linear CKA, debiased (pooled)" in finding.answer


def test_networks_with_random_weights_have_no_say_in_it():
    assert of_one_shape(lambda i, j: 1 - 0.1 * abs(i - j), kinds={"A": "untrained"}) is None
