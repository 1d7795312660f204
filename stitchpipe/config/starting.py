"""A first sweep for images and models that somebody names: a file with comments, to be read, changed and run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from stitchpipe.config.reading import parse
from stitchpipe.config.writing import inline

if TYPE_CHECKING:
    from collections.abc import Sequence

Origin: TypeAlias = Literal["pretrained", "untrained", "train"]
"""Where the weights of named architectures come from."""
_ORIGIN: Final = {
    "pretrained": "pretrained = true    # published weights; or: untrained = true, train = { epochs = 10 }",
    "untrained": "untrained = true     # random weights; or: pretrained = true, train = { epochs = 10 }",
    "train": "train = { epochs = 10 }    # on these images; or: pretrained = true, untrained = true",
}
_MANY: Final = 2000
_CHECKPOINT: Final = re.compile(r".+\.(safetensors|pt|pth)")


@dataclass(frozen=True, slots=True)
class FirstImages:
    """What was seen of a folder of images.

    Attributes
    ----------
    root
        As it stands in the file.
    classes, images
        How many there are, of images by split.
    size
        Of the first image, height and width.
    """

    root: str
    classes: int
    images: dict[str, int]
    size: tuple[int, int]


def first_sweep(name: str, images: FirstImages, models: Sequence[str], origin: Origin, folder: Path) -> str:
    """Return the text of a sweep over some models.

    Parameters
    ----------
    name
        Of the sweep.
    models
        Architectures (``resnet18``, ``timm/vit_tiny_patch16_224``), globs over them (``torchvision:resnet*``), or paths
        of checkpoints.
    folder
        Where the file will lie, from which its relative paths start.

    Raises
    ------
    stitchpipe.config.ConfigError
        The text would be no valid sweep: a name of a model is none.
    """
    rules = [model for model in models if ":" in model]
    single = [model for model in models if model not in rules]
    head = _head(name, images, _rules(rules, origin))
    parts = [head, *(_model(model, origin) for model in single), _TABLES]
    if len(models) > 1 or rules:
        parts.append(_STITCHES)
    text = "\n".join(filter(None, parts))
    parse(text, where="the sweep as it would be written", folder=folder)
    return text


def _head(name: str, images: FirstImages, rules: str) -> str:
    counts = " and ".join(f"{count:,} {split}" for split, count in images.images.items())
    height, width = images.size
    is_square, are_many = height == width, min(images.images.values()) > _MANY
    return f"""\
# A sweep: which networks run over which images, and what is asked of them. `stitchpipe plan` says what it would do,
# `stitchpipe run` does it. All keys: the page "The sweep file" of the documentation, or `stitchpipe schema`.
name = {inline(name)}
{rules}
[data]
kind = "image_folder"
root = {inline(images.root)}    # {counts} images of {images.classes} classes; the first is {height}×{width}
{"" if are_many else "# "}limit = {_MANY}    # at most so many of each split: begin small, raise it later
{"# " if is_square else ""}size = {min(height, width)}    # resize all images to so many pixels, square
mean = [0.485, 0.456, 0.406]    # of ImageNet, what published weights expect; as your networks were trained
std = [0.229, 0.224, 0.225]
"""


def _rules(rules: Sequence[str], origin: Origin) -> str:
    if not rules:
        return ""
    said = {"pretrained": "", "untrained": ", untrained = true", "train": ", train = { epochs = 10 }"}[origin]
    lines = "\n".join(f"  {{ models = [{inline(rule)}]{said} }}," for rule in rules)
    return f"# Rules that name many models at once.\nzoo = [\n{lines}\n]\n"


def _model(model: str, origin: Origin) -> str:
    name = Path(model).stem if _CHECKPOINT.fullmatch(model) else model
    if _CHECKPOINT.fullmatch(model):
        said = f'architecture = "resnet18"    # which network these weights are of\nweights = {inline(model)}'
    else:
        said = f"architecture = {inline(model)}\n{_ORIGIN[origin]}"
    return f"[[models]]\nname = {inline(name)}\n{said}\n"


_TABLES: Final = """\
[dump]
layers = "blocks"      # the residual blocks; or: cuts, stages, all, blocks:10 (ten of them), globs over names

[[compare]]            # all pairs of layers of all models
view = "pooled"        # one row per image: the mean over positions
indices = ["cka", "procrustes_angle", "dm_r2"]    # `stitchpipe indices` lists them
"""
_STITCHES: Final = """\
# [[stitch]]           # every layer into every other network, by the least-squares map between them
# method = "dm"
# sources = ["*/*"]
# targets = ["*/*"]
"""
