"""From images to stored activations: one forward pass for all layers."""

from stitchpipe.capture.activations import activations_of, device_of, paired_activations
from stitchpipe.capture.batch_images import batches_of, images_of
from stitchpipe.capture.blocks import Block, planned_block_bytes, stored_blocks
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
    "activations_of",
    "batches_of",
    "device_of",
    "dump",
    "identity",
    "images_of",
    "paired_activations",
    "planned_block_bytes",
    "planned_peak_bytes",
    "provenance",
    "stored_blocks",
]
