"""From images to stored activations: one forward pass for all layers."""

from stitchpipe.capture.collect import collect, collect_together
from stitchpipe.capture.determinism import CaptureError
from stitchpipe.capture.dump import CAPTURE_VERSION, DumpRecord, dump, identity
from stitchpipe.capture.provenance import provenance

__all__ = [
    "CAPTURE_VERSION",
    "CaptureError",
    "DumpRecord",
    "collect",
    "collect_together",
    "dump",
    "identity",
    "provenance",
]
