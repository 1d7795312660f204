"""Whether a unit of work is done, answered from records: no network is built for it, and no activations are read.

What is not known from here to be done is handed to its step, which finds out for certain. What is said to be done is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stitchpipe.capture import CAPTURE_VERSION, provenance
from stitchpipe.capture.precision import precision
from stitchpipe.config import ConfigError, ControlModel, NetworkModel, TrainedModel
from stitchpipe.errors import ExplainedError
from stitchpipe.graph import LOGITS
from stitchpipe.run.activations import dump_declaration
from stitchpipe.run.declared import architecture_of
from stitchpipe.run.file_names import dump_record, model_record, weights_name
from stitchpipe.run.inputs import model_stamp
from stitchpipe.run.run_keys import stitch_key
from stitchpipe.run.stitches import ends_of
from storage import Address, NotFoundError

if TYPE_CHECKING:
    from stitchpipe.run import Run
    from storage import Representation


def inspected(run: Run, model: str) -> dict[str, Any] | None:
    """Return a summary of a network that is on record as it is declared, with layers that the sweep names; or None."""
    declared = run.sweep.network(model)
    if not run.layers.is_on_record(declared):
        return None
    try:
        layers = run.layers.of(model)
    except ExplainedError:  # no layer of that name: its step says so
        return None
    return {"model": model, "layers": len(layers)}


def trained(run: Run, model: str) -> dict[str, Any] | None:
    """Return the record of a model whose weights are there, and are those that were put on record; or None."""
    declared = run.sweep.network(model)
    record = run.place.files.record(model_record(model))
    if record is None:
        return None
    key = run.networks.declaration(declared)
    if record["declaration"] != key:
        return None
    if isinstance(declared, TrainedModel):
        is_there = run.place.files.find(weights_name(model, key)) is not None
    else:
        stamp = model_stamp(declared)
        is_there = stamp is not None and record.get("stamp") == stamp
    return dict(record) if is_there else None


def dumped(run: Run, model: str, split: str) -> dict[str, Any] | None:
    """Return the record of a dump that is sealed, of the weights and images that there are now; or None."""
    declared = run.sweep.model(model)
    record = run.place.files.record(dump_record(model, split))
    if record is None or record["declaration"] != dump_declaration(run.sweep, declared, split):
        return None
    # What a control is made of is cheap to have again, and so it is not asked here whether that is still the same.
    weights = None if isinstance(declared, ControlModel) else trained(run, model)
    if weights is None:
        return None
    logits = _logits(run, model, split, str(record["fingerprint"]))
    if logits is None:
        return None
    images, settings = run.data.split(split), run.extent.settings
    wanted = {
        "weights": weights["weights_digest"],
        "data": images.digest,
        "preprocessing": dict(images.preprocessing),
        "capture_version": CAPTURE_VERSION,
    }
    if isinstance(declared, NetworkModel):
        wanted["architecture"] = architecture_of(declared)
    is_same = all(logits.identity.get(name) == value for name, value in wanted.items())
    # A dump that was made under other versions is compared before it is taken over, which its step does.
    with precision(settings.precision, run.device):
        made_with = provenance(run.device, settings.precision.autocast)
    return dict(record) if is_same and made_with in logits.provenances else None


def stitched(run: Run) -> set[tuple[str, str]]:
    """Return the target layers, as model and layer, into which every declared stitch has its results.

    Empty where something was not dumped yet. Opens the layers that stitches begin and end at, and lists the results.
    """
    try:
        ends = run.activations.ends(ends_of(run.stitches)) if run.stitches else {}
    except (ConfigError, NotFoundError):
        return set()
    there = set(run.results.keys())
    targets: dict[tuple[str, str], bool] = {}
    for planned in run.stitches:
        target = planned.target.model, planned.target.layer
        is_there = stitch_key(run, planned, ends) in there
        targets[target] = targets.get(target, True) and is_there
    return {target for target, is_whole in targets.items() if is_whole}


def _logits(run: Run, model: str, split: str, fingerprint: str) -> Representation | None:
    """Return the logits of a dump of which every layer is sealed and none was evicted; None of another one."""
    label = run.sweep.data.label
    try:
        sealed = run.store.representations(dataset=label, split=split, model=model, fingerprint=fingerprint)
        there = {entry.address.layer for entry in sealed}
        if not there >= {LOGITS, *(info.name for info in run.layers.of(model))}:
            return None
        return run.store.representation(Address(label, split, model, LOGITS), fingerprint=fingerprint)
    except NotFoundError:
        return None
