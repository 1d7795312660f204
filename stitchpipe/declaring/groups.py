"""What images that were handed over belong to: a name for each, or a file beside data that are declared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stitchpipe.data import DataError
from stitchpipe.data.groups import whole_groups
from stitchpipe.run.names import SPLITS, TEST, TRAIN
from stitchpipe.utf8 import is_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Positions = npt.NDArray[np.int64]


def group_file(groups: Any) -> dict[str, str]:
    """Return the key of [data] that names a file of groups, of data that are declared; nothing without groups.

    Raises
    ------
    DataError
        It is none: names beside a folder or a table could not be told which image they are of.
    """
    if groups is None:
        return {}
    if isinstance(groups, str | Path):
        return {"groups": str(groups)}
    raise _unfit(
        "a CSV file of the columns sample,group, beside a folder or a table of data",
        f"a {type(groups).__name__}",
        "Write the file, with a line for each image, and give its path.",
    )


def groups_of_splits(groups: Any, counts: Mapping[str, int]) -> dict[str, tuple[str, ...] | None]:
    """Return the groups of the images of each split; `DataError` where there is not one for each image of both."""
    if groups is None:
        return dict.fromkeys(counts)
    if not isinstance(groups, Mapping) or set(groups) != set(SPLITS):
        keys = f"the keys {', '.join(map(str, groups))}" if isinstance(groups, Mapping) else None
        found = keys or f"a {type(groups).__name__}"
        raise _unfit("groups of either split, as the data are", found, "Give groups={'train': …, 'test': …}.")
    return {
        split: groups_of_images(groups[split], count, f"groups, split '{split}'")
        for split, count in counts.items()
    }


def groups_of_images(groups: Any, count: int, where: str) -> tuple[str, ...] | None:
    """Return one name for each of `count` images; None where there are none.

    Raises
    ------
    DataError
        Not one for each image, or something that is neither text nor a whole number.
    """
    if groups is None:
        return None
    if isinstance(groups, str | bytes | Path | Mapping):
        raise _unfit(
            f"a name or number for each of {count} images", f"a {type(groups).__name__}", _REMEDY, where
        )
    named = np.asarray(groups, dtype=object).reshape(-1).tolist() if hasattr(groups, "shape") else [*groups]
    if len(named) != count:
        raise _unfit(f"a name or number for each of {count} images", str(len(named)), _REMEDY, where)
    strange = next((name for name in named if not _is_name(name)), None)
    if strange is not None or any(name is None for name in named):
        found = f"{type(strange).__name__} {strange!r}" if strange is not None else "None"
        raise _unfit("text or whole numbers as groups", found, _REMEDY, where)
    return tuple(str(name) for name in named)


def at_positions(groups: Sequence[str] | None, positions: Positions) -> tuple[str, ...] | None:
    """Return the groups of some images."""
    return None if groups is None else tuple(groups[position] for position in positions.tolist())


def cut_between(groups: Sequence[str], n_test: int) -> dict[str, Positions]:
    """Return the images of both splits: whole groups that chance draws (seeded), at most `n_test` images of the test.

    Raises
    ------
    DataError
        No group fits into one of them.
    """
    if len(set(groups)) < 2 or min(np.unique(np.asarray(groups), return_counts=True)[1]) > n_test:
        raise _unfit(
            f"groups that can be divided, {n_test} images to the test split",
            f"{len(set(groups))} groups, the smallest larger than that"
            if len(set(groups)) > 1
            else "one group",
            "Change `test_fraction`, or give data={'train': …, 'test': …}.",
        )
    test = whole_groups(groups, limit=n_test, seed=0)
    return {TRAIN: np.setdiff1d(np.arange(len(groups)), test), TEST: test}


_REMEDY = "Give them in the order of the data set; an image that is on its own is a group by itself."


def _is_name(name: object) -> bool:
    if isinstance(name, str):
        return bool(name) and is_text(name)
    return isinstance(name, int | np.integer) and not isinstance(name, bool)


def _unfit(expected: str, found: str, remedy: str, where: str = "groups") -> DataError:
    return DataError(where=where, expected=expected, found=found, remedy=remedy)
