"""From images to stored activations: one forward pass for all layers."""

from stitchpipe.capture.blocks import Block, planned_block_bytes, stored_blocks
from stitchpipe.capture.collect import collect, collect_together
from stitchpipe.capture.determinism import CaptureError
from stitchpipe.capture.dump import DumpRecord, dump
from stitchpipe.capture.network_capture import CAPTURE_VERSION, NetworkCapture, identity
from stitchpipe.capture.provenance import provenance
from stitchpipe.capture.settings import Precision, Settings, planned_peak_bytes
from stitchpipe.capture.views import StoredView

__all__ = [
    "CAPTURE_VERSION",
    "Block",
    "CaptureError",
    "DumpRecord",
    "NetworkCapture",
    "Precision",
    "Settings",
    "StoredView",
    "collect",
    "collect_together",
    "dump",
    "identity",
    "planned_block_bytes",
    "planned_peak_bytes",
    "provenance",
    "stored_blocks",
]
