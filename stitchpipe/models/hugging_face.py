"""Hugging Face's image classifiers, ``hf/TYPE``, ``hf/FOLDER`` or ``hf/ORGANISATION/NAME``: an optional dependency.

A type (``vit``, ``convnext``) is built from its configuration with the options; a folder that ``save_pretrained``
wrote, or a published network by its id, brings its own.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from stitchpipe.errors import nearest
from stitchpipe.models.errors import ArchitectureError, WeightsError
from stitchpipe.models.extras import demanded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor, nn

RENAMED = {"num_classes": "num_labels", "in_channels": "num_channels"}
"""Our words for options → theirs."""


def build(name: str, options: Mapping[str, Any]) -> nn.Module:
    """Return an untrained network that returns its logits."""
    library = _library(name)
    config = _config(library, name, options)
    with _quiet(library):
        network = library.AutoModelForImageClassification.from_config(config)
    return _returning_logits(network)


def published(name: str, options: Mapping[str, Any], weights: str | bool) -> nn.Module:
    """Return a network with published weights: of `weights`, an id or a folder, or True for those of the name itself.

    Raises
    ------
    WeightsError
        The weights are of another type or of other shapes than the name and the options say, or do not fill the
        network.
    """
    library = _library(name)
    origin = name if weights is True else str(weights)
    if origin in library.CONFIG_MAPPING_NAMES:
        raise WeightsError(
            where=f"pretrained = true of 'hf/{name}'",
            expected="the id or the folder of published weights",
            found=f"'{origin}', a type of networks",
            remedy="Name them: pretrained = 'ORGANISATION/NAME', or architecture = 'hf/ORGANISATION/NAME'.",
        )
    config = _config(library, origin, options)
    if name in library.CONFIG_MAPPING_NAMES and config.model_type != name:
        raise WeightsError(
            where=f"pretrained = '{origin}'",
            expected=f"weights of a network of type '{name}'",
            found=f"type '{config.model_type}'",
            remedy=f"Write architecture = 'hf/{config.model_type}'.",
        )
    with _quiet(library):
        network, report = library.AutoModelForImageClassification.from_pretrained(
            origin,
            config=config,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # reported, and refused below by name
        )
    wrong = {what: sorted(map(str, keys)) for what, keys in report.items() if what in _MISFITS and keys}
    if wrong:
        raise WeightsError(
            where=f"'hf/{origin}'",
            expected="weights for every tensor of the classifier",
            found="; ".join(
                f"{len(keys)} {_MISFITS[what]} ({', '.join(keys[:3])})" for what, keys in wrong.items()
            ),
            remedy="Take a checkpoint of an image classifier, with its own number of classes.",
        )
    return _returning_logits(network)


_MISFITS = {"missing_keys": "missing", "mismatched_keys": "of another shape"}


def _config(library: Any, name: str, options: Mapping[str, Any]) -> Any:
    settings = {RENAMED.get(key, key): value for key, value in options.items()}
    if name in library.CONFIG_MAPPING_NAMES:
        return _known(library.AutoConfig.for_model(name, **settings), settings, name)
    config = library.AutoConfig.from_pretrained(name, trust_remote_code=False)
    _known(config, settings, name)
    for key, value in settings.items():
        setattr(config, key, value)
    return config


def _known(config: Any, settings: Mapping[str, Any], name: str) -> Any:
    """Refuse options that the configuration does not have: it would keep them and never look at them."""
    known = {*type(config)().to_dict(), "num_labels", *type(config).attribute_map}
    for key in settings:
        if key not in known:
            raise ArchitectureError(
                where=f"architecture 'hf/{name}'",
                expected=f"options that {type(config).__name__} has",
                found=f"'{key}'",
                remedy=nearest(key, sorted(known)) or "Correct the model's `options`.",
            )
    return config


def _returning_logits(network: nn.Module) -> nn.Module:
    """Return the network as one that takes images and returns logits; its modules and keys stay what they are."""
    kind: Any = type(network)

    def forward(self: Any, images: Tensor) -> Tensor:
        logits: Tensor = kind.forward(self, pixel_values=images, return_dict=True).logits
        return logits

    network.__class__ = type(kind.__name__, (kind,), {"forward": forward, "__module__": kind.__module__})
    return network


def _library(name: str) -> Any:
    demanded("hf", f"hf/{name}")
    library = import_module("transformers")
    # One object with what is used: where a name lives in the package has changed between versions.
    auto = import_module("transformers.models.auto.configuration_auto")
    classifiers = import_module("transformers.models.auto.modeling_auto")
    known = classifiers.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES
    return _Library(
        library.AutoConfig,
        library.AutoModelForImageClassification,
        {key: value for key, value in auto.CONFIG_MAPPING_NAMES.items() if key in known},
        library.utils.logging,
    )


class _Library:
    """The parts of transformers that are used."""

    def __init__(self, config: Any, classifier: Any, types: Mapping[str, str], logging: Any) -> None:
        self.AutoConfig, self.AutoModelForImageClassification = config, classifier
        self.CONFIG_MAPPING_NAMES, self.logging = types, logging


@contextmanager
def _quiet(library: _Library) -> Iterator[None]:
    """Keep the library's bars and warnings off the terminal: what matters is checked and said here."""
    logging = library.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
