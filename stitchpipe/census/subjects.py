"""Which networks a census looks at, and in which order: a part of it is to be a fair sample of the whole."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Final, Literal

from stitchpipe.errors import ExplainedError, nearest
from stitchpipe.models import architectures

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Library = Literal["stitchpipe", "torchvision", "timm", "transformers"]

WORDS: Final = (
    "atto", "femto", "pico", "nano", "micro", "xxs", "xxt", "xs", "xt", "tiny", "mini", "small", "medium", "base",
    "so400m", "large", "xlarge", "xxlarge", "huge", "giant", "gigantic",
)  # fmt: skip
"""What libraries call the sizes of a network, from small to large."""

TOWERS: Final = "vision"
"""What the library calls the image towers of its networks for images and text."""


class CensusError(ExplainedError, ValueError):
    """A census of nothing."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A network to look at.

    Attributes
    ----------
    name
        As a sweep names it: ``resnet18``, ``timm/NAME``, ``hf/TYPE``.
    family
        The module of its library that it comes from; of transformers its type.
    """

    name: str
    library: Library
    family: str


def subjects() -> list[Subject]:
    """Return every architecture of the libraries that are installed, one of each family before the second of any.

    Within a family the small ones come first, as far as their names tell.
    """
    families: dict[tuple[str, str], list[Subject]] = {}
    for subject in chain(_own(), _timm(), _transformers()):
        families.setdefault((subject.library, subject.family), []).append(subject)
    turns = zip_longest(*(sorted(family, key=_size) for family in families.values()))
    return [subject for turn in turns for subject in turn if subject is not None]


def matching(known: Sequence[Subject], globs: Iterable[str]) -> list[Subject]:
    """Return the subjects whose names match any of some globs.

    Raises
    ------
    CensusError
        A glob matches none.
    """
    chosen: set[str] = set()
    names = [subject.name for subject in known]
    for glob in globs:
        hits = fnmatch.filter(names, glob)
        if not hits:
            raise CensusError(
                where=f"--match {glob}",
                expected="a glob that matches an architecture: resnet*, timm/vit_*, hf/*",
                found="none",
                remedy=nearest(glob, names, most=3) or "Names are those that a sweep has.",
            )
        chosen.update(hits)
    return [subject for subject in known if subject.name in chosen]


def _size(subject: Subject) -> tuple[int, list[int]]:
    """Return what sorts networks of a family by their size: the words in their names, then the numbers."""
    parts = subject.name.replace("/", "_").split("_")
    known = [WORDS.index(part) for part in parts if part in WORDS]
    numbers = [int(number) for part in parts for number in re.findall(r"\d+", part)]
    return (known[0] if known else WORDS.index("small"), numbers)


def _own() -> list[Subject]:
    import torchvision  # noqa: PLC0415 - names alone are wanted of the other libraries too

    subjects = []
    for name in architectures():
        if name not in torchvision.models.list_models():
            subjects.append(Subject(name, "stitchpipe", name))
            continue
        module = torchvision.models.get_model_builder(name).__module__
        subjects.append(Subject(name, "torchvision", module.removeprefix("torchvision.models.")))
    return subjects


def _timm() -> list[Subject]:
    if find_spec("timm") is None:
        return []
    timm = import_module("timm")
    return [
        Subject(f"timm/{name}", "timm", timm.model_entrypoint(name).__module__.rpartition(".")[2])
        for name in timm.list_models()
    ]


def _transformers() -> list[Subject]:
    """Return the types with an image classifier, what the library counts among vision networks, and image towers."""
    if find_spec("transformers") is None:
        return []
    makers = import_module("transformers.models.auto.modeling_auto")
    types = {
        *makers.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
        *makers.MODEL_FOR_IMAGE_MAPPING_NAMES,
        *makers.MODEL_FOR_BACKBONE_MAPPING_NAMES,
        *(kind for kind in makers.MODEL_MAPPING_NAMES if TOWERS in kind),
    }
    return [Subject(f"hf/{kind}", "transformers", kind) for kind in sorted(types)]
