"""Damage of every kind to a finished run, and what `stitchpipe verify` says of it."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from stitchpipe.steps import maintenance

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Damage = Callable[[Path, bytes, random.Random], None]


_OF_STORES = ("activations", "commits", "sealed", "label", "sample_id", "c")


def silent(name, done, total):
    del name, done, total


def problems(root):
    """Return what a check of the whole run finds."""
    return maintenance.verify(str(root), model=None, sample="100%", progress=silent).problems


def kinds_of(root: Path) -> dict[str, list[Path]]:
    """Return the files of a run by their kind: what is left of their place without names, numbers and digests."""
    kinds = defaultdict(list)
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        *folders, name = re.sub(r"[0-9a-f]{12,}", "#", str(path.relative_to(root))).split("/")
        if folders[:1] == ["store.zarr"] and folders[1:2] != ["commits"]:
            folders = ["store.zarr", str(len(folders)), folders[-1] if folders[-1] in _OF_STORES else "…"]
        kinds[re.sub(r"(%\w\w)+|\d+", "#", "/".join([*folders, name]))].append(path)
    return dict(kinds)


def bit(path, data, generator):
    """Flip one bit; of an empty file there is none."""
    changed = bytearray(data or b"\0")
    changed[generator.randrange(len(changed))] ^= 1 << generator.randrange(8)
    path.write_bytes(changed)


def byte(path, data, generator):
    """Replace one byte by another."""
    changed = bytearray(data or b"\0")
    where = generator.randrange(len(changed))
    changed[where] = (changed[where] + generator.randrange(1, 256)) % 256
    path.write_bytes(changed)


def cut(path, data, generator):
    path.write_bytes(data[: generator.randrange(len(data))] if data else b"\0")


def grown(path, data, generator):
    path.write_bytes(data + generator.randbytes(generator.randrange(1, 9)))


def removed(path, data, generator):
    del data, generator
    path.unlink()


def unnoticed(root: Path, damages: list[Damage], count: int, seed: int, kinds) -> list[tuple[str, str]]:
    """Do one random damage after the other, to every kind of file alike; return those that a check did not find."""
    generator, missed = random.Random(seed), []
    names = generator.sample(sorted(kinds), len(kinds))
    for turn in range(count):
        path = generator.choice(kinds[names[turn % len(names)]])
        damage = damages[(turn + turn // len(names)) % len(damages)]
        sound = path.read_bytes()
        try:
            damage(path, sound, generator)
            if not problems(root):
                missed.append((damage.__name__, str(path.relative_to(root))))
        finally:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(sound)
    return missed
