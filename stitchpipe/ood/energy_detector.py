"""The detector of Balogh and Jelasity (2025): a classifier of representations whose energy tells foreign ones."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from sklearn.metrics import average_precision_score, roc_curve

from stitchpipe.errors import named_line
from stitchpipe.measures import Number
from stitchpipe.ood.detectors import auroc
from stitchpipe.ood.energy_network import RepresentationClassifier
from stitchpipe.ood.energy_training import DetectorTraining
from stitchpipe.ood.errors import DetectorFileError, OodError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from stitchpipe.rows import Float64

SANITY_PASS = 0.9
"""The AUROC on another data set's representations from which the sanity check counts as passed."""
BELOW_HALF = 0.1
"""How far below ½ an AUROC lies, at least, that is called one-sided wrong."""
CERTAIN = 3.0
"""And how many of its standard errors under the null."""
FAILED = f"the sanity check failed: below {SANITY_PASS}"
WRONG = "one-sided wrong: the sanity check passed, yet stitched rows look more native than native ones"
"""What a reader is told beside the number; programs look at `warned`."""
NOTES = "detector"
"""The one key of a file's metadata: several are written in no fixed order, and equal detectors are equal files."""
NAMES = ("ood_detector", "ood_detector_aupr", "ood_detector_fpr95", "ood_detector_sanity")


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

    def statistics(self, stitched: Float64) -> dict[str, Number]:
        """Return what the detector says of the energies ``[n]`` of a stitched representation.

        Notes
        -----
        ``ood_detector`` is |2·AUROC − 1|. Beside it stand the AUROC (above ½ where stitched rows have more energy than
        native ones) and ``warned``, which is 1 where the sanity check passes while the AUROC is well below ½: the
        detector works, yet takes stitched rows for more native than native ones. ``aupr`` and ``fpr95`` look at one
        side only, with native rows as the positives: .5 and .95 where nothing is told, 1 and 0 where all is, and
        worse than nothing where the detector is one-sided wrong. Never NaN: ``non_finite``.
        """
        if not np.isfinite(stitched).all():
            reason = "the detector's energy of some stitched representations is not finite"
            return dict.fromkeys(NAMES[:-1], Number.missing("non_finite", reason)) | {
                NAMES[-1]: Number(self.sanity_auroc)
            }
        area = auroc(self.native, stitched)
        is_failed = self.sanity_auroc < SANITY_PASS
        is_warned = not is_failed and one_sided_wrong(area, len(self.native), len(stitched))
        remark = FAILED if is_failed else WRONG if is_warned else None
        found = (
            Number(abs(2.0 * area - 1.0), reason=remark).beside(auroc=area, warned=int(is_warned)),
            Number(aupr(self.native, stitched)),
            Number(fpr95(self.native, stitched)),
            Number(self.sanity_auroc),
        )
        return dict(zip(NAMES, found, strict=True))

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
        tensors = {name: one.detach().cpu().contiguous() for name, one in self.network.state_dict().items()}
        return save({**tensors, "native": torch.from_numpy(self.native)}, metadata={NOTES: json.dumps(notes)})

    @classmethod
    def of_bytes(cls, data: bytes, *, where: str) -> EnergyDetector:
        """Return the detector in what `to_bytes` gave; `DetectorFileError` if it is none."""
        try:
            length = int.from_bytes(data[:8], "little")  # of the header, which is JSON
            notes = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][NOTES])
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
    logits = network(block.to(device=device, dtype=torch.float32))
    return np.asarray(-torch.logsumexp(logits.double(), dim=1).cpu().numpy(), dtype=np.float64)


def aupr(native: Float64, foreign: Float64) -> float:
    """Return the area under precision over recall (average precision) of native rows as positives, by low energy."""
    truth = np.repeat([1, 0], [len(native), len(foreign)])
    return float(average_precision_score(truth, -np.concatenate([native, foreign])))


def fpr95(native: Float64, foreign: Float64) -> float:
    """Return the share of foreign rows that pass where the threshold on energy lets at least 95 % of native pass."""
    truth = np.repeat([1, 0], [len(native), len(foreign)])
    # The thresholds are walked from strict to lax; the first that lets 95 % of native rows pass is the one.
    passed, kept, _ = roc_curve(truth, -np.concatenate([native, foreign]), drop_intermediate=False)
    return float(passed[np.argmax(kept >= 0.95)])


def one_sided_wrong(area: float, native: int, foreign: int) -> bool:
    """Return whether an AUROC lies below ½ by more than .1 and more than three standard errors under the null.

    The standard error of `native` and `foreign` rows that do not differ is √((n + m + 1)/(12·n·m)) (Mann and Whitney
    1947).
    """
    error = float(np.sqrt((native + foreign + 1) / (12.0 * native * foreign)))
    return area < 0.5 - max(BELOW_HALF, CERTAIN * error)
