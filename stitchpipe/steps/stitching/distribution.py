"""How far stitches into one target leave its distribution: references are fitted once, stitches watched passing by."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from stitchpipe.ood import (
    OF_THE_DETECTOR,
    SCORES,
    DetectorBudget,
    DetectorDivergedError,
    EnergyDetector,
    FirstSamples,
    Observer,
    PositionSampling,
    TargetReference,
    auroc,
    classifier_of,
    energies,
    native_of,
    observed,
    train_detector,
)
from stitchpipe.run.file_names import detector_name
from stitchpipe.run.run_keys import detector_key
from stitchpipe.steps.stitching.foreign_images import foreign_images
from stitchpipe.stitching import labels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy.typing as npt
    from torch import Tensor, nn

    from stitchpipe.config import Detector, Sweep
    from stitchpipe.measures import Number
    from stitchpipe.ood.detector.network import RepresentationClassifier
    from stitchpipe.results import Result
    from stitchpipe.rows import Float64
    from stitchpipe.run import LayerName, Run
    from stitchpipe.run.activations import StoredEnd
    from storage import Representation

logger = logging.getLogger(__name__)


def score_names(sweep: Sweep) -> tuple[str, ...]:
    """Return the names of the scores that a sweep's stitches get, in the order of their results."""
    detector = OF_THE_DETECTOR if sweep.ood.detector is not None else ()
    return (*SCORES.own, *sweep.ood.scores, *detector)


class Distribution:
    """A target layer's own distribution.

    Parameters
    ----------
    target
        On both splits, in the store.
    network
        The target network, whose representations of foreign images a detector learns from.
    native_logits
        ``[n, classes]`` of the target network on the test split, in stored order; None of one that gives features.
    device
        Where detectors are trained and run.
    """

    def __init__(
        self,
        run: Run,
        target: StoredEnd,
        network: nn.Module,
        native_logits: npt.NDArray[np.floating] | None,
        device: torch.device,
    ) -> None:
        self._run, self._target, self._head = run, target, network
        self._logits, self._device = native_logits, device
        self._detector: EnergyDetector | Number | None = None

    @cached_property
    def reference(self) -> TargetReference:
        """Return the scores that need no training, fitted to the target layer once."""
        declared = self._run.sweep.ood
        train, test = (observed(split, self._sampling) for split in (self._target.train, self._target.test))
        native = native_of(train, test, logits=self._logits, neighbours=declared.neighbours)
        return TargetReference(native, [SCORES.named(name) for name in (*SCORES.own, *declared.scores)])

    @property
    def _sampling(self) -> PositionSampling:
        declared = self._run.sweep.ood
        return PositionSampling(declared.positions, declared.position_rows, declared.seed)

    @property
    def epochs(self) -> int:
        """Epochs that `prepare` tells of: those of the detector's training, 0 without one."""
        declared = self._run.sweep.ood.detector
        return 0 if declared is None else _budget(declared).all_epochs

    def prepare(self, on_epoch: Callable[[int], None]) -> None:
        """Find the detector that was trained before, or train it and keep it; nothing where none is declared.

        A training that leaves the finite numbers is not kept: its scores have the status ``diverged``.
        """
        declared = self._run.sweep.ood.detector
        if declared is None or self._detector is not None:
            return
        files, name = self._run.place.files, detector_name(detector_key(self._run, self._target))
        known = files.find(name)
        # The key covers the target's activations and the declaration, so a detector that is there is the
        # right one.
        if known is not None:
            detector = EnergyDetector.of_bytes(files.read(known), where=name)
            detector.network.to(self._device)
            self._detector = detector
        else:
            try:
                detector = self._trained(declared, on_epoch)
                files.write(name, ".safetensors", detector.to_bytes())
                self._detector = detector
            except DetectorDivergedError as error:
                self._detector = error.number
        on_epoch(self.epochs)

    def watch(self) -> Watch:
        """Return what looks at one stitch into the target."""
        self.prepare(lambda _: None)
        return Watch(self.reference, Observer(self._sampling), self._detector)

    def warn(self, source: LayerName, results: Iterable[Result]) -> bool:
        """Return whether the detector is one-sided wrong about a stitch, and log it."""
        is_warned = any(result.number.extras.get("warned") for result in results)
        if is_warned:
            logger.warning(
                "%s -> %s: the detector passed its sanity check, yet takes stitched representations for more native "
                "than native ones",
                source,
                self._target.name,
            )
        return is_warned

    def _trained(self, declared: Detector, on_epoch: Callable[[int], None]) -> EnergyDetector:
        native = FirstSamples(self._target.train, declared.images)
        labels = labels_of(self._target.train)[: native.n_samples]
        auxiliary = foreign_images(self._run, "auxiliary")
        # Fine-tuning takes twice as many foreign samples as native ones.
        batches = auxiliary.endless(2 * declared.batch_size, declared.seed)
        # A detector of a network without logits tells the classes of its images apart all the same.
        classes = int(labels.max()) + 1 if self._logits is None else self._logits.shape[1]
        network = classifier_of(native, self._target.grid, classes, seed=declared.seed).to(self._device)
        training = train_detector(
            network,
            native,
            labels,
            auxiliary.representations(self._head, self._target.name.layer, self._device, batches),
            _budget(declared),
            on_epoch=on_epoch,
        )
        known = _finite(np.concatenate([energies(network, block) for block in _blocks(self._target.test)]))
        return EnergyDetector(network, known, self._sanity(network, known), training)

    def _sanity(self, network: RepresentationClassifier, known: Float64) -> float:
        images = foreign_images(self._run, "sanity")
        blocks = images.representations(self._head, self._target.name.layer, self._device, images.in_order())
        return auroc(known, _finite(np.concatenate([energies(network, block) for block in blocks])))


class Watch:
    """Looks at the blocks of one stitched representation as they pass by, each once; keeps none of them."""

    def __init__(
        self,
        reference: TargetReference,
        observer: Observer,
        detector: EnergyDetector | Number | None,
    ) -> None:
        self._reference, self._observer = reference, observer
        self._detector, self._energies = detector, [np.empty(0)]

    def seen(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield the blocks of a stitched representation as they come, in the order of the test samples."""
        for block in blocks:
            # The statistics are summed as the blocks pass on their way to the tail, so the stitched
            # representation is computed once.
            self._observer.add(block.float().cpu().numpy())
            if isinstance(self._detector, EnergyDetector):
                self._energies.append(energies(self._detector.network, block))
            yield block

    def scores(self, logits: npt.NDArray[np.floating] | None) -> dict[str, Number]:
        """Return every score of what was seen, given its logits ``[n, classes]``, if it gives some."""
        scores = self._reference.score(self._observer.observation(), logits)
        if isinstance(self._detector, EnergyDetector):
            return scores | self._detector.scores(np.concatenate(self._energies))
        if self._detector is not None:
            return scores | dict.fromkeys(OF_THE_DETECTOR, self._detector)
        return scores


def _budget(declared: Detector) -> DetectorBudget:
    return DetectorBudget(
        epochs=declared.epochs,
        finetune_epochs=declared.finetune_epochs,
        learning_rate=declared.learning_rate,
        finetune_learning_rate=declared.finetune_learning_rate,
        batch_size=declared.batch_size,
        seed=declared.seed,
    )


def _blocks(stored: Representation) -> Iterator[Tensor]:
    for row_group in range(len(stored.row_groups)):
        yield torch.from_numpy(stored.read(row_group).astype(np.float32, copy=False))


def _finite(energies_of: Float64) -> Float64:
    if not np.isfinite(energies_of).all():
        raise DetectorDivergedError(
            where="the finished detector",
            expected="finite energies of native and of other data's representations",
            found="others",
            remedy="Lower ood.detector.learning_rate or finetune_learning_rate.",
        )
    return energies_of
