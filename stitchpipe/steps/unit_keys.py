"""What a unit of work is asked to do, as a digest: a failure under another one is void."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stitchpipe.config import NetworkModel
from stitchpipe.run.declared import data_fields, model_fields, network_fields
from stitchpipe.run.inputs import model_stamp, versions
from stitchpipe.run.keys import digest_of
from stitchpipe.run.names import LayerName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.config import Sweep
    from stitchpipe.run import Run

_OF_MODELS: Final = ("inspect", "train", "dump")


def unit_key(run: Run, step: str, subject: Sequence[str]) -> str:
    """Return the digest of what a unit is asked to do: declaration, checkpoint, versions, time-out.

    Of a unit of one model no other model is part of it, so that its failure outlives changes of the rest.
    """
    if step in _OF_MODELS:
        return model_unit_key(run.sweep, step, subject)
    sweep = run.sweep
    if step == "stitch":
        stitches = [planned for planned in run.stitches if planned.target == LayerName(*subject)]
        models = sorted({name.model for planned in stitches for name in (planned.source, planned.target)})
        asked = [
            [planned.identity() for planned in stitches],
            [model_fields(sweep.model(model)) for model in models],
            sweep.model_dump(mode="json", include={"data", "dump", "ood", "run"}),
        ]
    else:
        asked = [sorted(sweep.left_out), sweep.model_dump(mode="json", exclude={"name", "store"})]
    return digest_of(step, list(subject), asked, versions())


def model_unit_key(sweep: Sweep, step: str, subject: Sequence[str]) -> str:
    """Return the same of a step of one model; needs the declaration alone."""
    declared = sweep.model(subject[0])
    fields = network_fields(declared) if isinstance(declared, NetworkModel) else model_fields(declared)
    asked: list[Any] = [fields]
    asked += [list(sweep.layer_globs(declared)), data_fields(sweep.data)]
    if step != "inspect":
        asked.append(model_stamp(declared))
    if step == "dump":
        asked.append(sweep.dump.model_dump(mode="json"))
    return digest_of(step, list(subject), asked, sweep.run.unit_timeout_s, versions())
