"""The images of a sweep: both splits, augmented splits, and those that are none of its own; each loaded once."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from stitchpipe.algebra.layers import layer_measure_named
from stitchpipe.config import StoredData, TrainedModel
from stitchpipe.data import ImageSplit, augmented_split, augmented_split_name, load_splits, parse_split_name
from stitchpipe.run.names import SPLITS, TRAIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.config import Data, Sweep


class RunData:
    """The images of a sweep.

    Parameters
    ----------
    sweep
        Whose data they are; nothing is loaded before it is asked for.
    """

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._foreign: dict[tuple[str, str], ImageSplit] = {}

    @cached_property
    def splits(self) -> Mapping[str, ImageSplit]:
        """The training and the test split; `stitchpipe.data.DataError` where they cannot be read."""
        return load_splits(self._sweep.data, SPLITS)

    def split(self, name: str) -> ImageSplit:
        """Return the images of a split, or of an augmented split such as ``train+1``."""
        base, number = parse_split_name(name)
        images = self.splits[base]
        how = self._sweep.dump.augment
        if number is None or how is None:
            return images
        return augmented_split(images, number, crop=how.crop, flip=how.flip, seed=how.seed)

    def augmented_splits(self) -> tuple[str, ...]:
        """Return the names of the augmented splits of the training images."""
        augment = self._sweep.dump.augment
        count = 0 if augment is None else augment.passes
        return tuple(augmented_split_name(TRAIN, number) for number in range(1, count + 1))

    def foreign(self, role: str, declared: Data, split: str) -> ImageSplit:
        """Return one split of data that are none of the sweep's own, declared for a role."""
        if (role, split) not in self._foreign:
            self._foreign[role, split] = load_splits(declared, (split,))[split]
        return self._foreign[role, split]

    def demand_labels(self) -> None:
        """Refuse a sweep that trains, stitches or probes on data without labels; comparing pairs needs none.

        Raises
        ------
        stitchpipe.data.DataError
            A split that training, stitches or probes need has no labels.
        """
        sweep = self._sweep
        purposes = [
            *(f"training model '{model.name}'" for model in sweep.models if isinstance(model, TrainedModel)),
            *("judging stitches by their accuracy" for _ in sweep.stitch),
            *(
                f"`{name}`"
                for table in sweep.compare
                for name in table.layer_measures
                if layer_measure_named(name).reads_labels
            ),
            *("`deletions`, which are probed" for table in sweep.compare if table.deletions),
        ]
        if purposes and not isinstance(sweep.data, StoredData):
            for split in self.splits.values():
                split.required_labels(purposes[0])
