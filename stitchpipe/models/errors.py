"""What is refused about networks."""

from __future__ import annotations

from stitchpipe.errors import ExplainedError


class ArchitectureError(ExplainedError, ValueError):
    """No network of that name, or not with those options."""


class WeightsError(ExplainedError, ValueError):
    """A checkpoint is missing, unreadable, unsafe, or of another architecture."""


class OtherWeightsError(WeightsError):
    """Weights are not those that were recorded under this name.

    Attributes
    ----------
    recorded, read
        The two digests, see `stitchpipe.models.weights.weights_digest`.
    """

    def __init__(self, where: str, *, recorded: str, read: str) -> None:
        self.recorded, self.read = recorded, read
        super().__init__(
            where=where,
            expected=f"the weights that were recorded, of SHA-256 {recorded}",
            found=f"others, of SHA-256 {read}",
            remedy="Put the recorded weights back; or give the model another name, to work with both.",
        )
