"""What the array API cannot say: products added to their sums in place. One module per array library."""

from stitchpipe.algebra.backends.opening import open_backend
from stitchpipe.algebra.backends.protocol import Backend, BackendName, DeviceName

__all__ = ["Backend", "BackendName", "DeviceName", "open_backend"]
