"""The detector of Balogh and Jelasity (2025): a classifier of representations whose energy tells foreign ones."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from stitchpipe.capture.precision import full_float32
from stitchpipe.errors import named_line
from stitchpipe.ood.detector.network import RepresentationClassifier
from stitchpipe.ood.detector.training import DetectorTraining
from stitchpipe.ood.errors import DetectorFileError, OodError
from stitchpipe.ood.scores.detector import detector_scores
from stitchpipe.safetensors_notes import notes_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from stitchpipe.measures import Number
    from stitchpipe.rows import Float64

NOTES = "detector"
"""The one key of a file's metadata: several are written in no fixed order, and equal detectors are equal files."""


@dataclass(frozen=True, eq=False)
class EnergyDetector:
    """A trained classifier of representations with the energies of native test images.

    Attributes
    ----------
    network
        In eval mode.
    native
        ``[n]`` energies of the native representations of the test images.
    sanity_auroc
        Probability that a representation of another data set's image has more energy than a native one.
    training
        How it was trained.
    """

    network: RepresentationClassifier
    native: Float64
    sanity_auroc: float
    training: DetectorTraining

    def scores(self, stitched: Float64) -> dict[str, Number]:
        """Return what the detector says of the energies ``[n]`` of a stitched representation, by measure."""
        return detector_scores(self.native, stitched, self.sanity_auroc)

    def energies(self, blocks: Iterable[Tensor]) -> Float64:
        """Return the energies ``[n]`` of a representation given in blocks, looked at once each."""
        parts = [energies(self.network, block) for block in blocks]
        if not parts:
            raise OodError(
                where="representation",
                expected="at least one block of samples",
                found="none",
                remedy="Take the blocks anew: an iterator can be used once.",
            )
        return np.concatenate(parts)

    def to_bytes(self) -> bytes:
        """Return the detector as safetensors."""
        notes = {
            "shape": self.network.shape,
            "grid": self.network.grid,
            "classes": self.network.classes,
            "sanity_auroc": self.sanity_auroc,
            "training": asdict(self.training),
        }
        tensors = {
            name: tensor.detach().cpu().contiguous() for name, tensor in self.network.state_dict().items()
        }
        return save({**tensors, "native": torch.from_numpy(self.native)}, metadata={NOTES: json.dumps(notes)})

    @classmethod
    def of_bytes(cls, data: bytes, *, where: str) -> EnergyDetector:
        """Return the detector in what `to_bytes` gave; `DetectorFileError` if it is none."""
        try:
            notes = json.loads(notes_of(data)[NOTES])
            tensors = load(data)
            native = tensors.pop("native").numpy()
            shape, grid = (tuple(notes[name]) for name in ("shape", "grid"))
            # The network draws weights when it is built. They are overwritten, and the global generator
            # must not notice.
            with torch.random.fork_rng(devices=[]):
                network = RepresentationClassifier(shape, grid, int(notes["classes"]))
            network.load_state_dict(tensors)
            sanity, training = float(notes["sanity_auroc"]), DetectorTraining(**notes["training"])
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise DetectorFileError(
                where=where,
                expected="a trained detector",
                found=named_line(error),
                remedy="Delete the file and run the sweep again: it is trained anew from the store.",
            ) from None
        return cls(network.eval(), native, sanity, training)


@torch.inference_mode()
def energies(network: RepresentationClassifier, block: Tensor) -> Float64:
    """Return E = −logsumexp(logits) of a block ``(n, …)``, ``[n]``, in float64."""
    device = network.mean.device
    with full_float32(device):
        logits = network(block.to(device=device, dtype=torch.float32))
    return np.asarray(-torch.logsumexp(logits.double(), dim=1).cpu().numpy(), dtype=np.float64)
