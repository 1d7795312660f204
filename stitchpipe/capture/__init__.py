"""From images to stored activations: one forward pass for all layers."""

from stitchpipe.capture.collect import collect
from stitchpipe.capture.dump import CAPTURE_VERSION, CaptureError, DumpRecord, dump, identity
from stitchpipe.capture.provenance import provenance

__all__ = ["CAPTURE_VERSION", "CaptureError", "DumpRecord", "collect", "dump", "identity", "provenance"]
