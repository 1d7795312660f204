"""The trained detector: its loss by definition, its sanity, its warning, and that it is the same every time."""

from __future__ import annotations

import math
from itertools import count, pairwise

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch.nn import functional as F

from stitchpipe.ood import (
    DetectorBudget,
    DetectorDivergedError,
    DetectorFileError,
    EnergyDetector,
    FirstSamples,
    OodError,
    classifier_of,
    energies,
    energy_bounded_loss,
    train_detector,
)
from stitchpipe.ood.detector.first_samples import HELD_BYTES
from stitchpipe.ood.detector.network import RepresentationClassifier
from stitchpipe.ood.scores.detector import aupr, fpr95, one_sided_wrong

RNG = np.random.default_rng(0)
CLASSES, CPU = 3, torch.device("cpu")
BUDGET = DetectorBudget(epochs=6, finetune_epochs=6, batch_size=32, finetune_learning_rate=0.01)


class Stored:
    """A representation in memory that is read by row groups."""

    def __init__(self, values, row_groups=4):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype
        bounds = np.linspace(0, len(values), row_groups + 1).astype(int)
        self.row_groups = tuple((int(a), int(b)) for a, b in pairwise(bounds))
        self.reads = 0

    def read(self, row_group):
        self.reads += 1
        start, stop = self.row_groups[row_group]
        return self.values[start:stop]


def vectors(n, seed, spread=0.3):
    """Three clusters, by class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(CLASSES, size=n)
    centres = 3.0 * np.eye(CLASSES, 5)
    return (centres[labels] + spread * rng.standard_normal((n, 5))).astype("float32"), labels


def elsewhere(seed, spread=1.0):
    rng = np.random.default_rng(seed)
    while True:
        yield torch.from_numpy((spread * rng.standard_normal((64, 5)) - 2.0).astype("float32"))


def trained(seed=0, budget=BUDGET, values=None, grid=(), foreign=None, on_epoch=lambda _: None):
    native, labels = vectors(200, 1) if values is None else values
    first = FirstSamples(Stored(native), 200)
    network = classifier_of(first, grid, CLASSES, seed=seed)
    training = train_detector(network, first, labels, foreign or elsewhere(5), budget, on_epoch=on_epoch)
    return network, training


def judged(network, training):
    test = torch.from_numpy(vectors(150, 2)[0])
    other = torch.from_numpy(np.random.default_rng(6).standard_normal((150, 5)).astype("float32") * 2 - 2)
    native = energies(network, test)
    area = roc_auc_score([0] * 150 + [1] * 150, np.r_[native, energies(network, other)])
    return EnergyDetector(network, native, area, training), test


@pytest.fixture(scope="module")
def detector():
    return judged(*trained())


def test_the_loss_is_cross_entropy_and_a_tenth_of_the_squared_hinges():
    generator = torch.Generator().manual_seed(0)
    native, foreign = (torch.randn(n, 3, generator=generator) * spread for n, spread in ((7, 20), (4, 9)))
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0])
    wanted = 0.0
    for row, label in zip(native.double().tolist(), labels.tolist(), strict=True):
        energy = -math.log(sum(math.exp(x) for x in row))
        wanted += (-row[label] - energy + 0.1 * max(energy + 25.0, 0.0) ** 2) / 7
    for row in foreign.double().tolist():
        energy = -math.log(sum(math.exp(x) for x in row))
        wanted += 0.1 * max(-7.0 - energy, 0.0) ** 2 / 4
    assert float(energy_bounded_loss(native.double(), labels, foreign.double())) == pytest.approx(
        wanted, rel=1e-9
    )


def test_energies_within_the_margins_cost_nothing():
    native, foreign = torch.tensor([[30.0, -50.0]]), torch.tensor([[1.0, 2.0]])
    loss = energy_bounded_loss(native, torch.tensor([0]), foreign)
    assert float(loss) == pytest.approx(0.0, abs=1e-12)


def test_energies_are_those_of_the_networks_logits(detector):
    found, test = detector
    with torch.inference_mode():
        wanted = -torch.logsumexp(found.network(test), dim=1)
    np.testing.assert_allclose(energies(found.network, test), wanted.numpy(), rtol=1e-6)
    np.testing.assert_allclose(found.energies(test.split(40)), found.native, rtol=1e-5)


def test_it_learns_the_classes_tells_other_data_and_says_nothing_of_native_rows(detector):
    found, test = detector
    labels = torch.from_numpy(vectors(150, 2)[1])
    with torch.inference_mode():
        assert (found.network(test).argmax(1) == labels).float().mean() > 0.9
    assert found.sanity_auroc > 0.9
    own = found.scores(found.native)
    assert own["ood_detector"].value == pytest.approx(0.0, abs=1e-9)
    assert own["ood_detector_fpr95"].value >= 0.94
    assert own["ood_detector_aupr"].value == pytest.approx(0.5, abs=0.01)
    assert own["ood_detector"].extras["warned"] == 0


def test_numbers_are_those_of_the_definitions(detector):
    found, _ = detector
    stitched = found.native + RNG.standard_normal(150) * found.native.std() + 0.5 * found.native.std()
    result = found.scores(stitched)
    area = np.mean([(f > n) + 0.5 * (f == n) for f in stitched for n in found.native])
    assert result["ood_detector"].value == pytest.approx(abs(2 * area - 1), abs=1e-12)
    assert result["ood_detector"].extras["auroc"] == pytest.approx(area, abs=1e-12)
    limit = np.sort(found.native)[math.ceil(0.95 * 150) - 1]  # lets 95 % of native rows pass
    assert result["ood_detector_fpr95"].value == pytest.approx((stitched <= limit).mean(), abs=1e-12)
    order = sorted([(e, 1) for e in found.native] + [(e, 0) for e in stitched])
    hits, precision = 0, 0.0
    for rank, (_, is_native) in enumerate(order, start=1):
        hits += is_native
        precision += is_native * hits / rank / 150
    assert result["ood_detector_aupr"].value == pytest.approx(precision, rel=1e-9)
    assert result["ood_detector_sanity"].value == found.sanity_auroc


def test_perfect_and_useless_detectors_in_closed_form():
    native, far = np.arange(100.0), np.arange(100.0) + 1000
    assert (aupr(native, far), fpr95(native, far)) == (1.0, 0.0)
    assert fpr95(native, -far) == 1.0
    assert fpr95(native, native) == pytest.approx(0.95, abs=0.011)


def test_a_shrunken_representation_provokes_the_warning(detector):
    """Nearer to the classes' centres than native rows are: less energy, more native than native."""
    found, _ = detector
    labels = vectors(150, 2)[1]
    calm = torch.from_numpy((3.0 * np.eye(CLASSES, 5)[labels]).astype("float32"))
    result = found.scores(found.energies([calm * 1.3]))["ood_detector"]
    assert result.extras["auroc"] < 0.2
    assert result.value > 0.6
    assert result.extras["warned"] == 1
    assert "sanity check passed" in result.reason


def test_a_detector_that_fails_its_check_says_so_and_does_not_warn(detector):
    found, _ = detector
    blind = EnergyDetector(found.network, found.native, 0.6, found.training)
    number = blind.scores(found.native - 100.0)["ood_detector"]
    assert "sanity check failed" in number.reason
    assert number.extras["warned"] == 0


def test_chance_alone_does_not_warn():
    assert not one_sided_wrong(0.41, 10_000, 10_000)
    assert one_sided_wrong(0.39, 10_000, 10_000)
    assert not one_sided_wrong(0.39, 20, 20)  # three standard errors are .28


def test_energies_that_are_not_finite_have_a_status(detector):
    found, _ = detector
    result = found.scores(np.r_[found.native[:-1], np.nan])
    assert {name: one.status for name, one in result.items()} == {
        "ood_detector": "non_finite",
        "ood_detector_aupr": "non_finite",
        "ood_detector_fpr95": "non_finite",
        "ood_detector_sanity": "ok",
    }


def test_the_same_seed_gives_the_same_bits_and_leaves_the_global_generator_alone(detector):
    torch.manual_seed(77)
    before = torch.random.get_rng_state()
    again, training = trained()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert training == detector[0].training
    for name, one in detector[0].network.state_dict().items():
        assert torch.equal(one, again.state_dict()[name]), name
    other, _ = trained(seed=1)
    assert not torch.equal(other.head.weight, again.head.weight)


def test_epochs_are_reported_and_an_interruption_ends_the_training():
    told = []
    trained(budget=DetectorBudget(epochs=2, finetune_epochs=1, batch_size=32), on_epoch=told.append)
    assert told == [1, 2, 3]

    def stop(epoch):
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(on_epoch=stop)


def test_a_detector_comes_back_from_its_bytes_and_others_are_refused(detector):
    found, test = detector
    whole = found.to_bytes()
    assert whole == found.to_bytes()
    again = EnergyDetector.of_bytes(whole, where="one")
    assert np.array_equal(again.native, found.native)
    assert (again.sanity_auroc, again.training) == (found.sanity_auroc, found.training)
    assert np.array_equal(again.energies([test]), found.energies([test]))
    for broken in (whole[: len(whole) // 2], b"", whole[:8] + b"{}" + whole[10:]):
        with pytest.raises(DetectorFileError, match="Delete the file"):
            EnergyDetector.of_bytes(broken, where="one")


@pytest.mark.parametrize(
    ("shape", "grid"), [((4, 6, 5), (6, 5)), ((1, 1, 1), (1, 1)), ((10, 4), (1, 3, 3)), ((9, 4), (0, 3, 3)),
                        ((6, 2), (0, 2, 3)), ((5,), ())],
)  # fmt: skip
def test_layers_of_every_layout_can_be_judged(shape, grid):
    values = np.random.default_rng(0).standard_normal((24, *shape)).astype("float32")
    labels = np.arange(24) % CLASSES
    foreign = (torch.from_numpy(values[:6] + 1) for _ in count())
    network, training = trained(
        values=(values, labels), grid=grid, foreign=foreign,
        budget=DetectorBudget(epochs=1, finetune_epochs=1, batch_size=8),
    )  # fmt: skip
    assert math.isfinite(training.finetune_final_loss)
    assert energies(network, torch.from_numpy(values)).shape == (24,)
    with pytest.raises(OodError, match="samples of shape"):
        network(torch.zeros(2, *shape, 1))


def test_every_token_counts_and_patches_lie_on_their_grid():
    network = RepresentationClassifier((7, 2), (1, 2, 3), CLASSES).eval()
    tokens = torch.randn(1, 7, 2, generator=torch.Generator().manual_seed(0))
    image = network._image(tokens)[0]
    assert image.shape == (4, 2, 3)
    assert torch.equal(image[:2, 1, 0], tokens[0, 1 + 3])
    assert torch.equal(image[2:, 1, 2], tokens[0, 0])


def test_resizing_after_the_first_convolution_is_resizing_before_it():
    network = RepresentationClassifier((6, 5, 4), (5, 4), CLASSES).eval()
    x = torch.randn(3, 6, 5, 4, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        resized = F.interpolate(x, size=(32, 32), mode="bilinear", align_corners=False)
        wanted = network.head(network.trunk(network.mix(resized)).mean(dim=(2, 3)))
        torch.testing.assert_close(network(x), wanted, rtol=1e-4, atol=1e-5)


def test_the_units_are_those_of_the_layer():
    native, _ = vectors(100, 1)
    first = FirstSamples(Stored(native), 100)
    network = classifier_of(first, (), CLASSES, seed=0)
    np.testing.assert_allclose(network.mean, native.mean(0), rtol=1e-5)
    np.testing.assert_allclose(network.scale, native.std(0), rtol=1e-5)


@pytest.mark.parametrize("wanted", [1, 50, 77, 200, 999])
def test_first_samples_are_those_of_the_store_and_are_read_once(wanted):
    stored = Stored(np.arange(200.0)[:, None])
    first = FirstSamples(stored, wanted)
    for _ in range(3):
        found = np.concatenate([first.read(group) for group in range(len(first.row_groups))])
        assert np.array_equal(found, stored.values[: min(wanted, 200)])
    assert first.n_samples == len(found) == first.shape[0]
    assert stored.reads == len(first.row_groups)


def test_samples_that_are_too_large_to_hold_are_read_anew():
    stored = Stored(np.zeros((4, 1)))
    first = FirstSamples(stored, 4)
    stored.dtype = type("Wide", (), {"itemsize": HELD_BYTES})
    for _ in range(2):
        assert [len(first.read(group)) for group in range(4)] == [1] * 4
    assert stored.reads == 8


@pytest.mark.parametrize(
    ("labels", "words"),
    [(np.arange(199) % 3, "label each"), (np.arange(200), "from 0 to 2"), (np.full(200, -1), "from 0 to 2")],
)
def test_labels_that_do_not_fit_are_refused(labels, words):
    with pytest.raises(OodError, match=words):
        trained(values=(vectors(200, 1)[0], labels))


def test_a_training_that_leaves_the_finite_numbers_says_so():
    with pytest.raises(DetectorDivergedError, match="learning rate 1e"):
        trained(budget=DetectorBudget(epochs=3, finetune_epochs=1, learning_rate=1e25, batch_size=32))
