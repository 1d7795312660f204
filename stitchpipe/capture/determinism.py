"""What a forward pass must be before its values are kept: repeatable, and independent of the rest of the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

REPEAT_TOLERANCE = 1e-5
"""Of two passes over the same images, relative to the layer's largest value: room for atomic sums on a GPU."""

COMPANY_TOLERANCE = 1e-3
"""Of an image alone and among others: kernels differ with the batch size, batch statistics by far more."""


class CaptureError(ExplainedError, RuntimeError):
    """A model cannot be dumped: its outputs are not what a store should keep."""


def check_deterministic(run: Callable[[Tensor], Mapping[str, Tensor]], images: Tensor) -> None:
    """Refuse a network that answers the same image in different ways.

    Two passes over the same images find dropout and other random numbers; a pass over their second half finds
    batch normalisation that uses the batch's own statistics. NaN passes: the store refuses it by name.

    Parameters
    ----------
    images
        ``(n, …)``; of a single image only the repetition is checked.

    Raises
    ------
    CaptureError
        Names the first layer that differs, and by how much.

    Notes
    -----
    Two and a half forward passes.
    """
    first, again = run(images), run(images)
    for name, values in first.items():
        _compare(
            name,
            values,
            again[name],
            REPEAT_TOLERANCE,
            expected="the same activations from two forward passes of the same images",
            remedy="Dropout is in training mode, or the network draws random numbers.",
        )
    # The second half without the first: an image's values must not depend on its company.
    half = len(images) // 2
    if half == 0:
        return
    for name, alone in run(images[half:]).items():
        _compare(
            name,
            first[name][half:],
            alone,
            COMPANY_TOLERANCE,
            expected="activations of an image that do not depend on the other images of the batch",
            remedy="Batch normalisation uses the batch's own statistics, or the network mixes images.",
        )


def _compare(name: str, one: Tensor, other: Tensor, tolerance: float, *, expected: str, remedy: str) -> None:
    # A NaN makes the comparison below false, and so passes.
    difference = float((one - other).abs().max())
    scale = float(one.abs().max())
    if difference > tolerance * scale:
        raise CaptureError(
            where=f"layer '{name}'",
            expected=expected,
            found=f"differences up to {difference:.3g}, where values reach {scale:.3g}",
            remedy=remedy,
        )
