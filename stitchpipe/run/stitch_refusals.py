"""Which stitches cannot be made, and what the user is told of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.config import ConfigError, IngestedModel, NetworkModel
from stitchpipe.graph import TOGETHER
from stitchpipe.rows import width_of
from stitchpipe.run.declared import permuted_model
from stitchpipe.stitching import OBJECTIVES

if TYPE_CHECKING:
    from collections.abc import Collection

    from stitchpipe.config import Sweep
    from stitchpipe.graph import LayerInfo
    from stitchpipe.run.layers import LayerTable
    from stitchpipe.run.names import LayerName
    from stitchpipe.run.planned_stitch import PlannedStitch


def demand_network(sweep: Sweep, target: LayerName, where: str) -> None:
    """Refuse a target of which there are only activations."""
    if not isinstance(sweep.model(target.model), NetworkModel):
        networks = [model.name for model in sweep.networks]
        raise ConfigError(
            where=f"{where}.targets",
            expected="layers of models with a network: what follows the stitch is run",
            found=f"{target}, of which there are only activations",
            remedy=f"Stitch it as a source; targets can be of {', '.join(networks) or 'no model of this sweep'}.",
        )


def demand_logits(stitch: PlannedStitch, headless: Collection[str], where: str) -> None:
    """Refuse an objective that needs logits of a target that gives features."""
    if stitch.budget is None or stitch.target.model not in headless:
        return
    if OBJECTIVES.named(stitch.budget.objective).needs & {"logits", "native_logits"}:
        without = [name for name in OBJECTIVES.names() if OBJECTIVES.named(name).needs == {"native"}]
        raise ConfigError(
            where=where,
            expected=f"objectives that need no logits, because model '{stitch.target.model}' gives features",
            found=f"'{stitch.budget.objective}' into {stitch.target}",
            remedy=f"Take {' or '.join(without)}, or method 'dm'; or a target with a classifier.",
        )


def demand_images(sweep: Sweep, source: LayerName, where: str) -> None:
    """Refuse augmented passes of activations that no network of the sweep makes."""
    origin = permuted_model(sweep.model(source.model)) or source.model
    if isinstance(sweep.model(origin), IngestedModel):
        raise ConfigError(
            where=f"{where}.augmented",
            expected="sources that are dumped, on augmented passes over the training images too",
            found=f"{source}, whose activations were ingested",
            remedy="Declare its stitches without `augmented`.",
        )


def misfit(source: LayerName, target: LayerName, table: LayerTable, where: str) -> ConfigError | None:
    """Return why one layer cannot be stitched into another, or None."""
    from_layer, to_layer = info_of(table, source), info_of(table, target)
    if not to_layer.is_cut:
        known = [info.name for info in table[target.model]]
        position = known.index(target.layer)
        cuts = sorted(
            (info.name for info in table[target.model] if info.is_cut),
            key=lambda name: abs(known.index(name) - position),
        )
        return ConfigError(
            where=where,
            expected="targets where a single value crosses, so that the rest of the network can run alone",
            found=f"{target}: {to_layer.why_no_cut}"
            if TOGETHER in to_layer.why_no_cut
            else f"{target}, which a residual crosses",
            remedy=f"Of the dumped layers these can be targets, nearest first: {', '.join(cuts[:6]) or 'none'}.",
        )
    if bool(from_layer.grid) != bool(to_layer.grid):
        return ConfigError(
            where=where,
            expected="source and target that both have positions (images, tokens), or two vectors",
            found=f"{source} of shape {from_layer.shape} into {target} of shape {to_layer.shape}",
            remedy="Narrow the globs to layers of one kind.",
        )
    return None


def demand_equal_widths(stitch: PlannedStitch, table: LayerTable, where: str) -> None:
    """Refuse a training that begins with the identity between layers of different widths."""
    p, q = (width_of(info_of(table, name).shape, "positions") for name in (stitch.source, stitch.target))
    if stitch.init == "identity" and p != q:
        raise ConfigError(
            where=where,
            expected="init 'identity' between layers of equal width",
            found=f"{stitch.source} of width {p} into {stitch.target} of width {q}",
            remedy="Take init 'random' or 'dm' there, or narrow the globs.",
        )


def info_of(table: LayerTable, name: LayerName) -> LayerInfo:
    """Return what is known of a layer that the table has."""
    return next(info for info in table[name.model] if info.name == name.layer)
