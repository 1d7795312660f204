"""A part of a sweep: some of its models, as a sweep that is valid by itself, with the same keys for what it shares."""

from __future__ import annotations

import fnmatch
import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from stitchpipe.config.controls import Permuted
from stitchpipe.config.models import ControlModel, NetworkModel
from stitchpipe.config.refusal import ConfigError
from stitchpipe.config.stitches import TrainedStitch
from stitchpipe.errors import nearest
from stitchpipe.globs import meant_by

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from stitchpipe.config.models import Model
    from stitchpipe.config.stitches import Stitch
    from stitchpipe.config.sweep import Sweep

_NAMED: Final = 3
"""Models that the name of a part names."""


def restricted(sweep: Sweep, *, only: Sequence[str] = (), limit: int | None = None) -> Sweep:
    """Return a sweep with some of its models, and the stitches and tables that these leave something to do.

    The part has a name of its own, and says of which sweep it is one; without anything left out it is the sweep itself.

    What is kept of a model or a pair does not depend on which others there are, except under certainty.family = 'run',
    where a number speaks of all pairs: a part's numbers then have keys of their own, and stand beside the whole's.

    Parameters
    ----------
    only
        Globs over names of models; none for all.
    limit
        How many networks there may be, the first ones; None for all.

    Raises
    ------
    ConfigError
        A glob fits no model.
    """
    for glob in only:
        if not meant_by(glob, sweep.labels):
            raise ConfigError(
                where="--only",
                expected=f"a glob over the {len(sweep.labels)} models of the sweep",
                found=f"'{glob}'",
                remedy=nearest(glob.strip("*?"), sweep.labels, most=3) or "`stitchpipe plan` shows them.",
            )
    named = {name for glob in only for name in meant_by(glob, sweep.labels)}
    chosen = [model for model in sweep.models if not only or model.name in named]
    networks = [model.name for model in chosen if isinstance(model, NetworkModel)]
    kept = {model.name for model in chosen} - set(networks[limit:] if limit is not None else ())
    models = tuple(model for model in sweep.models if _stays(model, kept))
    if len(models) == len(sweep.models):
        return sweep
    stitches = tuple(
        stitch for declared in sweep.stitch if (stitch := _left(declared, [model.name for model in models]))
    )
    dump = sweep.dump
    if not any(isinstance(stitch, TrainedStitch) and stitch.augmented for stitch in stitches):
        # What an augmented split holds does not depend on its being declared; nothing would read it.
        dump = dump.model_copy(update={"augment": None})
    names = {"name": _name_of_part(sweep, models), "part_of": sweep.whole}
    return sweep.model_copy(update={**names, "models": models, "stitch": stitches, "dump": dump})


def _name_of_part(sweep: Sweep, models: Sequence[Model]) -> str:
    """Return what a part is called: by its models where they are few and can stand in the name of a folder."""
    told = "-".join(model.name for model in models)
    if len(models) > _NAMED or not re.fullmatch(r"[A-Za-z0-9._@-]{1,60}", told):
        digest = sha256("\n".join(model.name for model in models).encode()).hexdigest()
        told = f"{len(models)}-models-{digest[:6]}"
    return f"{sweep.whole}.{told}"


def _stays(model: Model, kept: Collection[str]) -> bool:
    """Whether a model is kept: a control that is made from another only with that one."""
    if isinstance(model, ControlModel) and isinstance(model.control, Permuted):
        return model.name in kept and model.control.of in kept
    return model.name in kept


def _left(stitch: Stitch, models: Sequence[str]) -> Stitch | None:
    """Return a table of stitches without globs that fit none of the models, or None where nothing is left."""
    sources, targets = (
        tuple(glob for glob in globs if fnmatch.filter(models, glob.rpartition("/")[0].strip("\"'")))
        for globs in (stitch.sources, stitch.targets)
    )
    is_alone = stitch.pairs in ("corresponding", "between") and len(models) < 2
    if not sources or not targets or is_alone:
        return None
    return stitch.model_copy(update={"sources": sources, "targets": targets})
