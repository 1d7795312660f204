"""Data sets by name: images with ids, labels where there are any, and a digest of what they are."""

from stitchpipe.data.arrays import load_arrays
from stitchpipe.data.augmentation import augmented_split, augmented_split_name, parse_split_name
from stitchpipe.data.digits import load_digits_splits
from stitchpipe.data.entry_points import load_entry_point
from stitchpipe.data.folder import load_image_folder
from stitchpipe.data.images import DataError, ImageSplit
from stitchpipe.data.load import load_splits
from stitchpipe.data.reading import Reading
from stitchpipe.data.torchvision_sets import load_torchvision

__all__ = [
    "DataError",
    "ImageSplit",
    "Reading",
    "augmented_split",
    "augmented_split_name",
    "load_arrays",
    "load_digits_splits",
    "load_entry_point",
    "load_image_folder",
    "load_splits",
    "load_torchvision",
    "parse_split_name",
]
