"""Data sets by name: images with ids, labels, and a digest of what they are."""

from stitchpipe.data.digits import load_digits_splits
from stitchpipe.data.folder import load_image_folder
from stitchpipe.data.images import DataError, ImageSplit

__all__ = ["DataError", "ImageSplit", "load_digits_splits", "load_image_folder"]
