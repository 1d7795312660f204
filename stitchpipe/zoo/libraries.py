"""The architectures that libraries offer, by name: none is built to list them, and a library is imported when asked."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from stitchpipe.errors import nearest
from stitchpipe.plugins import Plugins
from stitchpipe.zoo.errors import NothingFitsError
from stitchpipe.zoo.kept_names import kept_names

if TYPE_CHECKING:
    from collections.abc import Sequence

LIBRARIES: Final = ("torchvision", "timm", "hf", "installed")
"""What stands before the colon of a rule. ``installed``: our own networks and those of installed packages."""
EXTRAS: Final = {"timm": "timm", "hf": "transformers"}
"""Library that is an optional dependency → the package that it comes with."""
OURS: Final = ("cifar_resnet",)
_ENTRY_POINTS: Final = Plugins("stitchpipe.models", "zoo", NothingFitsError)


@dataclass(frozen=True, slots=True)
class Offer:
    """An architecture that a library offers.

    Attributes
    ----------
    name
        As the library has it: ``vit_tiny_patch16_224``.
    architecture
        As a sweep has it: ``timm/vit_tiny_patch16_224``.
    label
        How a model of it is called, unless a sweep says otherwise: the name, with the library before it where
        torchvision has another network of that name, and before types of Hugging Face, which are bare words.
    tag
        Of the published weights that were asked for by name (``augreg_in21k``).
    """

    library: str
    name: str
    architecture: str
    label: str
    tag: str | None = None


def offers(library: str, glob: str, *, published: bool = False) -> list[Offer]:
    """Return the architectures whose names fit a glob, in the library's order.

    As in a shell; in timm's names a dot begins the tag of published weights, which is matched where the glob has one.

    Parameters
    ----------
    published
        Whether only those are wanted whose weights somebody publishes.

    Raises
    ------
    NothingFitsError
        The library is not installed, or has no such name; the nearest ones are given.
    """
    known = _published(library) if published else _names(library)
    if library == "timm" and "." in glob:
        known = _tagged()
    fitting = fnmatch.filter(known, glob)
    if not fitting:
        raise _nothing(library, glob, known, published=published)
    return [_offer(library, name) for name in fitting]


def size_options(architecture: str, size: int) -> dict[str, Any]:
    """Return the options that make an architecture one for images of size × size; none where it takes any.

    Networks of installed packages say nothing about their images, and get none.
    """
    library, _, name = architecture.partition("/")
    if library == "timm" and find_spec("timm") is not None:
        return {"img_size": size} if name in _of_fixed_size() else {}
    if library == "hf" and find_spec("transformers") is not None:
        return {"image_size": size} if name in _names("hf") and _has_image_size(name) else {}
    if architecture.startswith("vit_"):
        return {"image_size": size}
    return {"input_size": [size, size]} if architecture.startswith("maxvit") else {}


def _offer(library: str, name: str) -> Offer:
    if library == "timm":
        bare, _, tag = name.partition(".")
        label = f"timm/{name}" if bare in _names("torchvision") else name
        return Offer(library, name, f"timm/{bare}", label, tag or None)
    if library == "hf":
        return Offer(library, name, f"hf/{name}", f"hf/{name}")
    return Offer(library, name, name, name)


@cache
def _names(library: str) -> Sequence[str]:
    """Return every name that a library builds an untrained network of."""
    _demand(library)
    match library:
        case "torchvision":
            return kept_names("torchvision", "torchvision", _of_torchvision)
        case "timm":
            return kept_names("timm", "timm", lambda: import_module("timm").list_models())
        case "hf":
            return kept_names("transformers", "transformers", lambda: sorted(_vision_types()))
        case _:
            return (*OURS, *_ENTRY_POINTS.names())


@cache
def _published(library: str) -> Sequence[str]:
    """Return the names whose weights are published; of Hugging Face they have ids, which no list of names has."""
    if library == "timm":
        bare = {name.partition(".")[0] for name in _tagged()}
        return tuple(name for name in _names("timm") if name in bare)
    return _names(library) if library == "torchvision" else ()


@cache
def _tagged() -> Sequence[str]:
    _demand("timm")
    return kept_names("timm-published", "timm", lambda: import_module("timm").list_models(pretrained=True))


@cache
def _of_fixed_size() -> frozenset[str]:
    """Return timm's names of networks that are built for images of one size."""

    def listed() -> list[str]:
        timm = import_module("timm")
        settings = {name: timm.get_pretrained_cfg(name) for name in timm.list_models()}
        return [name for name, known in settings.items() if known is not None and known.fixed_input_size]

    return frozenset(kept_names("timm-of-fixed-size", "timm", listed))


def _of_torchvision() -> list[str]:
    models = import_module("torchvision").models
    names: list[str] = models.list_models(module=models)
    return names


def _vision_types() -> set[str]:
    """Return the types of networks for images that transformers has: classifiers, and those without a head."""
    makers = import_module("transformers.models.auto.modeling_auto")
    return {*makers.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES, *makers.MODEL_FOR_IMAGE_MAPPING_NAMES}


def _has_image_size(kind: str) -> bool:
    config = import_module("transformers").AutoConfig.for_model(kind)
    return "image_size" in config.to_dict()


def _demand(library: str) -> None:
    package = EXTRAS.get(library)
    if package is not None and find_spec(package) is None:
        raise NothingFitsError(
            where=f"'{library}:'",
            expected=f"the package {package}",
            found="that it is not installed",
            remedy=f"Run: pip install 'stitchpipe[{library}]'",
        )


def _nothing(library: str, glob: str, known: Sequence[str], *, published: bool) -> NothingFitsError:
    if published and fnmatch.filter(_names(library), glob):
        return NothingFitsError(
            where=f"'{library}:{glob}'",
            expected="architectures whose weights are published",
            found="none with weights of their own",
            remedy="Set untrained = true or `train` in a table of zoo, or name folders or ids of weights.",
        )
    stem = glob.strip("*?")
    # Of a glob over beginnings of names only as much of each name counts as the glob says of it.
    near = dict.fromkeys(f"{name[: len(stem)]}*" for name in known) if glob.endswith("*") else known
    hint = nearest(glob, near, most=3, prefix=f"{library}:")
    shown = ", ".join(known[:6]) + (", …" if len(known) > 6 else "")
    return NothingFitsError(
        where=f"'{library}:{glob}'",
        expected=f"at least one of the {len(known)} architectures of {library}",
        found="none of that name",
        remedy=hint or f"There are: {shown}.",
    )
