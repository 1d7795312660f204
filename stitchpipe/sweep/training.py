"""The first step: every model of a sweep gets its weights: trained on the spot, from a file, published, or random."""

from __future__ import annotations

from typing import Any

from stitchpipe.config import (
    ConfigError,
    NetworkModel,
    Sweep,
    TrainedModel,
)
from stitchpipe.models import (
    accuracy,
    checkpoint,
    load_weights,
    save_weights,
    told_origin,
    train_classifier,
    weights_digest,
)
from stitchpipe.sweep.declared import model_fields
from stitchpipe.sweep.folder import Folder, key_of, read_record, write_record
from stitchpipe.sweep.networks import TEST, TRAIN, device_of, fix_threads, network, splits
from stitchpipe.sweep.progress import Report, silent


def train(sweep: Sweep, folder: Folder, model: str, *, report: Report = silent) -> dict[str, Any]:
    """Make sure that `model` has weights; return its record.

    Weights trained before under the same declaration and data are kept: nothing is trained twice. `report`
    counts epochs.

    Raises
    ------
    ConfigError
        The trained network stays below the accuracy that the sweep asks for.
    stitchpipe.models.WeightsError
        A checkpoint is missing, unreadable, unsafe, or of another architecture; published weights cannot be had.
    """
    declared = sweep.model(model)
    if not isinstance(declared, TrainedModel):
        return _as_they_are(sweep, folder, sweep.network(model))
    key = declaration(sweep, declared)
    known = read_record(folder.model_record(model))
    if known is not None and known["declaration"] == key and folder.weights(model, key).exists():
        report(declared.train.epochs, declared.train.epochs)
        return known
    return _trained(sweep, folder, declared, key, report)


def declaration(sweep: Sweep, declared: NetworkModel) -> str:
    """Return the key of what determines a model's weights, as far as the sweep file says it."""
    data = splits(sweep.data)
    return key_of(
        {key: value for key, value in model_fields(declared).items() if key != "layers"},
        data[TRAIN].digest,
        data[TEST].digest,
    )


def _as_they_are(sweep: Sweep, folder: Folder, declared: NetworkModel) -> dict[str, Any]:
    net = network(sweep, declared)
    if (path := checkpoint(declared)) is not None:
        load_weights(net, path)
    record = {
        "declaration": declaration(sweep, declared),
        "weights": told_origin(declared),
        "weights_digest": weights_digest(net),
        "test_accuracy": None,
    }
    write_record(folder.model_record(declared.name), record)
    return record


def _trained(
    sweep: Sweep, folder: Folder, declared: TrainedModel, key: str, report: Report
) -> dict[str, Any]:
    recipe = declared.train
    fix_threads(sweep)
    data, device = splits(sweep.data), device_of(sweep)
    net = network(sweep, declared).to(device)
    trained = train_classifier(
        net,
        data[TRAIN],
        epochs=recipe.epochs,
        seed=recipe.seed,
        batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        on_epoch=lambda epoch: report(epoch, recipe.epochs),
    )
    net.cpu()
    reached = accuracy(net, data[TEST])
    if reached < recipe.min_accuracy:
        raise ConfigError(
            where=f"model '{declared.name}'",
            expected=f"a test accuracy of at least {recipe.min_accuracy}",
            found=f"{reached:.4f} after {recipe.epochs} epochs",
            remedy="Train longer, take another seed, or lower train.min_accuracy.",
        )
    path = folder.weights(declared.name, key)
    save_weights(net, path)
    record = {
        "declaration": key,
        "weights": str(path.relative_to(folder.root)),
        "weights_digest": weights_digest(net),
        "test_accuracy": reached,
        "final_loss": trained.final_loss,
    }
    write_record(folder.model_record(declared.name), record)
    return record
