"""Data sets by name: images with ids, labels where there are any, and a digest of what they are."""

from stitchpipe.data.augmentation import augmented_split, augmented_split_name, parse_split_name
from stitchpipe.data.groups import sizes_told
from stitchpipe.data.images import DataError, ImageSplit
from stitchpipe.data.kinds.arrays import load_arrays
from stitchpipe.data.kinds.digits import load_digits_splits
from stitchpipe.data.kinds.entry_point import load_entry_point
from stitchpipe.data.kinds.image_folder import load_image_folder
from stitchpipe.data.kinds.torchvision import load_torchvision
from stitchpipe.data.load import load_splits
from stitchpipe.data.reading import Reading

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
    "sizes_told",
]
