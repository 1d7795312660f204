"""What a rule of a zoo expands to: ordinary models that remember their rule, named by what they are."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from stitchpipe.config.models import (
    PretrainedModel,
    TrainedModel,
    UntrainedModel,
    WeightsModel,
)
from stitchpipe.errors import ExplainedError, nearest
from stitchpipe.zoo import LIBRARIES, Checkpoint, described, fitting, is_glob, offers, size_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from stitchpipe.config.zoo import ZooRule

USUAL_LAYERS: Final = ("blocks:10",)
"""Of members where neither the rule nor [dump] says which: names differ from family to family."""


MOST_MODELS: Final = 10_000
"""By one rule: what a page, a matrix and a person can still take in is far less."""
Network: TypeAlias = WeightsModel | PretrainedModel | TrainedModel | UntrainedModel
"""What a rule can name."""
_ANY: Final = ("pretrained", "untrained", "train")
"""Where weights may come from that are no checkpoint, the usual origin first."""
_GROUP: Final = re.compile(r"\{(\w+)\}")


class MemberError(ExplainedError, ValueError):
    """A rule, as it stands, names no models."""


@dataclass(frozen=True, slots=True)
class Member:
    """A network that a rule names, before it has weights and a name of its own.

    Attributes
    ----------
    label
        How it is called within the rule.
    origins
        Which keys may say where its weights come from, the usual one first.
    names
        What globs of `exclude` may call it.
    pretrained
        The tag of published weights that its glob names.
    weights
        Its checkpoint.
    """

    label: str
    architecture: str
    origins: tuple[str, ...]
    names: tuple[str, ...]
    pretrained: str | None = None
    weights: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def expanded_rule(rule: ZooRule, folder: Path, *, usual_layers: Sequence[str] | None) -> list[Network]:
    """Return the models that a rule names, in the order of its globs.

    Parameters
    ----------
    folder
        Where relative paths start.
    usual_layers
        Of members whose rule names none; None for those of [dump].

    Raises
    ------
    ExplainedError
        A glob fits nothing, everything that fits is excluded, a library is not installed, or it is not said where
        weights or architectures come from.
    """
    layers = rule.layers or (None if usual_layers is None else tuple(usual_layers))
    models: dict[str, Network] = {}
    left_out: set[str] = set()
    for glob in rule.models:
        for member in _members(rule, glob, folder):
            if excluding := [out for out in rule.exclude if _is_called(member, out)]:
                left_out.update(excluding)
                continue
            for model in _weighted(rule, member, glob, layers):
                models.setdefault(model.name, model)
            if len(models) > MOST_MODELS:
                raise MemberError(
                    where=f"'{glob}'",
                    expected=f"at most {MOST_MODELS:,} models by one rule",
                    found="more",
                    remedy="Take fewer seeds, or a narrower glob.",
                )
    _demand_exclusions(rule, left_out, models)
    return list(models.values())


def _members(rule: ZooRule, glob: str, folder: Path) -> list[Member]:
    library, mark, name = glob.partition(":")
    if not mark or library not in LIBRARIES:
        return _checkpoints(rule, glob, folder)
    if rule.architecture is not None:
        raise MemberError(
            where=f"'{glob}'",
            expected="`architecture` beside globs over checkpoints alone",
            found=f"architecture = '{rule.architecture}'",
            remedy="Remove it: the library's names are architectures.",
        )
    if library == "hf" and ("/" in name or name.startswith((".", "~"))):
        return _folders(name, folder)
    is_published = library in ("torchvision", "timm") and not (rule.untrained or rule.train)
    origins = {"torchvision": _ANY, "timm": _ANY}.get(library, ("untrained", "train"))
    return [
        Member(
            offer.label,
            offer.architecture,
            origins,
            (offer.name, f"{library}:{offer.name}"),
            pretrained=offer.tag,
        )
        for offer in offers(library, name, published=is_published)
    ]


def _folders(glob: str, folder: Path) -> list[Member]:
    """Return the networks of Hugging Face's folders, or the one of an id."""
    is_id = re.fullmatch(r"[\w.-]+/[\w.-]+", glob) and not is_glob(glob) and not (folder / glob).exists()
    if is_id and not glob.startswith("."):
        return [Member(glob, f"hf/{glob}", _ANY, (glob, f"hf:{glob}"))]
    return [
        Member(found.label, f"hf/{found.location}", _ANY, (found.label, found.location))
        for found in fitting(glob, folder, folders=True)
    ]


def _checkpoints(rule: ZooRule, glob: str, folder: Path) -> list[Member]:
    if given := [key for key in _ANY if getattr(rule, key) is not None]:
        raise MemberError(
            where=f"'{glob}'",
            expected=f"globs over architectures (torchvision:, timm:, hf:, installed:) beside `{given[0]}`",
            found="one over checkpoints, which are the weights",
            remedy=f"Remove `{given[0]}`, or write the library and a colon before the name.",
        )
    found = fitting(glob, folder)
    named = _named_by_glob(rule, glob, found) or _named_by_header(glob, found)
    return [
        Member(
            checkpoint.label,
            architecture,
            ("weights",),
            (checkpoint.label, checkpoint.location.rpartition("/")[2], checkpoint.location),
            weights=checkpoint.location,
            options=options,
        )
        for checkpoint, (architecture, options) in zip(found, named, strict=True)
    ]


def _named_by_glob(
    rule: ZooRule, glob: str, found: Sequence[Checkpoint]
) -> list[tuple[str, Mapping[str, Any]]] | None:
    """Return the architectures that the rule says, filled with what the glob names; None where it says none."""
    groups = found[0].groups
    template = rule.architecture or ("{architecture}" if "architecture" in groups else None)
    if template is None:
        return None
    if unknown := [name for name in _GROUP.findall(template) if name not in groups]:
        raise MemberError(
            where=f"'{glob}'",
            expected=f"{{{unknown[0]}}} in the glob, for architecture = '{template}'",
            found=", ".join(f"{{{name}}}" for name in groups) or "no {NAME}",
            remedy=nearest(unknown[0], groups) or f"Write {{{unknown[0]}}} in place of a *.",
        )
    return [(_filled(template, checkpoint.groups), {}) for checkpoint in found]


def _filled(template: str, groups: Mapping[str, str]) -> str:
    """Return a text with what the groups hold in place of their names."""
    return _GROUP.sub(lambda match: groups[match[1]], template)


def _named_by_header(glob: str, found: Sequence[Checkpoint]) -> list[tuple[str, Mapping[str, Any]]]:
    named = described(found)
    without = [checkpoint.location for checkpoint, said in zip(found, named, strict=True) if said is None]
    if without:
        raise MemberError(
            where=f"'{glob}'",
            expected="an architecture for each checkpoint",
            found=f"none for {without[0]}" + (f" and {len(without) - 1} more" * (len(without) > 1)),
            remedy="Say it in a table: zoo = [{ models = [GLOB], architecture = 'resnet18' }]; or write "
            "{architecture} in the glob where the names have it; or `architecture` in the metadata of safetensors.",
        )
    return [said for said in named if said is not None]


def _is_called(member: Member, glob: str) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for name in (member.label, *member.names))


def _demand_exclusions(rule: ZooRule, used: set[str], models: Mapping[str, Network]) -> None:
    """Refuse exclusions that leave out nothing, or everything."""
    idle = [glob for glob in rule.exclude if glob not in used]
    if not models:
        raise MemberError(
            where="exclude",
            expected="members that are left",
            found=f"all left out by {', '.join(sorted(used))}",
            remedy="Exclude fewer.",
        )
    if idle:
        names = [name.partition("@")[0] for name in models]
        raise MemberError(
            where="exclude",
            expected="globs that leave something out",
            found=f"'{idle[0]}', which fits no member",
            remedy=nearest(idle[0].strip("*?"), names, most=3) or "Correct or remove it.",
        )


def _weighted(rule: ZooRule, member: Member, named_by: str, layers: tuple[str, ...] | None) -> list[Network]:
    """Return the models of one network: one, or one for each seed."""
    origin = next((key for key in _ANY if getattr(rule, key) is not None), member.origins[0])
    if origin not in member.origins or (origin == "untrained" and rule.untrained is None):
        raise MemberError(
            where=f"'{named_by}'",
            expected="`untrained` or `train`, which say where the weights come from",
            found="neither"
            if origin == "untrained"
            else f"`{origin}`, and nobody publishes weights under such names",
            remedy="Write { models = [GLOB], untrained = true } in zoo.",
        )
    size = {} if rule.size is None else size_options(member.architecture, rule.size)
    common: dict[str, Any] = {
        "architecture": member.architecture,
        "options": {**size, **member.options, **rule.options},
        "layers": layers,
        "rule": named_by,
    }
    name = f"{rule.prefix}{member.label}"
    match origin:
        case "weights":
            return [WeightsModel(name=name, weights=member.weights or "", **common)]
        case "pretrained":
            wanted = member.pretrained or rule.pretrained or True
            return [PretrainedModel(name=name, pretrained=wanted, **common)]
        case "untrained":
            return [
                UntrainedModel(name=f"{name}@{seed}", untrained=True, seed=seed, **common)
                for seed in rule.seeds
            ]
        case _:
            recipe = rule.train
            return [
                TrainedModel(name=f"{name}@{seed}", train=recipe.model_copy(update={"seed": seed}), **common)
                for seed in rule.seeds
                if recipe is not None
            ]
