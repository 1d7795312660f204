"""What there is to be named by rule: the architectures that libraries offer, and files that fit a glob.

Nothing is built or loaded. A library is imported when a rule first asks for its names.
"""

from stitchpipe.zoo.checkpoints import Checkpoint, described, fitting, is_glob
from stitchpipe.zoo.errors import NothingFitsError, UnreadableError
from stitchpipe.zoo.libraries import EXTRAS, LIBRARIES, Offer, offers, size_options

__all__ = [
    "EXTRAS",
    "LIBRARIES",
    "Checkpoint",
    "NothingFitsError",
    "Offer",
    "UnreadableError",
    "described",
    "fitting",
    "is_glob",
    "offers",
    "size_options",
]
