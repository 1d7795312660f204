"""Hugging Face's vision networks, ``hf/TYPE``, ``hf/FOLDER`` or ``hf/ORGANISATION/NAME``: an optional dependency.

A type (``vit``, ``convnext``) is built from its configuration with the options; a folder that ``save_pretrained``
wrote, or a published network by its id, brings its own. It is a classifier where the library has one of the type and
where published weights are of one; with ``num_classes = 0``, and otherwise, it is the backbone, which gives features:
of CLIP and its like the image tower.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
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

_MISFITS = {"missing_keys": "missing", "mismatched_keys": "of another shape"}


def build(name: str, options: Mapping[str, Any]) -> nn.Module:
    """Return an untrained network that takes images and returns logits, or a record of features."""
    library = _library(name)
    headless = options.get("num_classes") == 0 or (name in library.types and name not in library.classifiers)
    config = _config(library, name, options, headless=headless)
    classes = library.maker(config, headless=headless)
    # Of a type with several classifiers, the library looks for the one that is named here, and stumbles over None.
    config.architectures = config.architectures or []
    with _quiet(library):
        network = classes.from_config(config)
    return _taking_images(network, headless=headless)


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
    if origin in library.types:
        raise WeightsError(
            where=f"pretrained = true of 'hf/{name}'",
            expected="the id or the folder of published weights",
            found=f"'{origin}', a type of networks",
            remedy="Name them: pretrained = 'ORGANISATION/NAME', or architecture = 'hf/ORGANISATION/NAME'.",
        )
    whole = library.AutoConfig.from_pretrained(origin, trust_remote_code=False)
    if name in library.types and name not in {whole.model_type, _image_part(whole).model_type}:
        raise WeightsError(
            where=f"pretrained = '{origin}'",
            expected=f"weights of a network of type '{name}'",
            found=f"type '{whole.model_type}'",
            remedy=f"Write architecture = 'hf/{whole.model_type}'.",
        )
    headless = _is_headless(library, whole, options)
    config = _config(library, origin, options, headless=headless)
    network, report = _loaded(library, origin, config, headless=headless)
    if headless and any(key.startswith("pooler.") for key in report["missing_keys"]):
        # Weights of a classifier, or of masked training, have none for the layer that pools the first token.
        network, report = _loaded(library, origin, config, headless=True, add_pooling_layer=False)
    wrong = {what: sorted(map(str, keys)) for what, keys in report.items() if what in _MISFITS and keys}
    if wrong:
        raise WeightsError(
            where=f"'hf/{origin}'",
            expected=f"weights for every tensor of the {'backbone' if headless else 'classifier'}",
            found="; ".join(
                f"{len(keys)} {_MISFITS[what]} ({', '.join(keys[:3])})" for what, keys in wrong.items()
            ),
            remedy="Take a checkpoint of an image classifier, with its own number of classes; or num_classes = 0.",
        )
    return _taking_images(network, headless=headless)


def takes_classes(name: str) -> bool:
    """Return whether a type has a classifier; of folders and ids, whose type is not known yet, True."""
    library = _library(name)
    return name not in library.types or name in library.classifiers


def _loaded(
    library: _Library, origin: str, config: Any, *, headless: bool, **more: Any
) -> tuple[nn.Module, Any]:
    """Return a network with the weights of an id or a folder, and the library's report on what did not fit."""
    with _quiet(library):
        loaded: tuple[nn.Module, Any] = library.maker(config, headless=headless).from_pretrained(
            origin,
            config=config,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # reported, and refused by name
            **more,
        )
    return loaded


def _is_headless(library: _Library, config: Any, options: Mapping[str, Any]) -> bool:
    """Return whether published weights are asked for without a classifier, or have none."""
    if "num_classes" in options:
        return bool(options["num_classes"] == 0)
    names = config.architectures or ()
    has_classifier = not names or any(name.endswith("ForImageClassification") for name in names)
    return config.model_type not in library.classifiers or not has_classifier


def _config(library: _Library, name: str, options: Mapping[str, Any], *, headless: bool) -> Any:
    settings = {RENAMED.get(key, key): value for key, value in options.items()}
    if headless and settings.pop("num_labels", 0):
        raise ArchitectureError(
            where=f"architecture 'hf/{name}'",
            expected="num_classes = 0, or none: the library has no classifier of this type",
            found=f"num_classes = {options['num_classes']}",
            remedy="Leave the option out; the network then gives features.",
        )
    if name in library.types:
        if headless:  # the options are those of the image tower
            name = _image_part(library.AutoConfig.for_model(name)).model_type or name
        config = _known(library.AutoConfig.for_model(name, **settings), settings, name)
    else:
        config = library.AutoConfig.from_pretrained(name, trust_remote_code=False)
        config = _known(_image_part(config) if headless else config, settings, name)
        for key, value in settings.items():
            setattr(config, key, value)
    if config.model_type == MASKED:
        config.mask_ratio = 0.0
    return config


def _image_part(config: Any) -> Any:
    """Return the configuration of the image tower of a network for images and text, or the configuration itself."""
    return getattr(config, "vision_config", None) or config


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


MASKED = "vit_mae"
"""The type that hides patches at random, unless it is told to hide none and in which order to keep them."""


def _taking_images(network: nn.Module, *, headless: bool) -> nn.Module:
    """Return the network as one that takes images; its modules and keys stay what they are.

    A classifier returns logits, a backbone the library's record of features.
    """
    kind: Any = type(network)
    if kind.main_input_name != "pixel_values":
        raise ArchitectureError(
            where=kind.__name__,
            expected="a network that takes images",
            found=f"one that takes {kind.main_input_name}",
            remedy="Choose a vision network, or one for images and text, whose image tower is taken.",
        )

    def classify(self: Any, images: Tensor) -> Tensor:
        logits: Tensor = kind.forward(self, pixel_values=images, return_dict=True).logits
        return logits

    def describe(self: Any, images: Tensor) -> Any:
        return kind.forward(self, pixel_values=images)

    def describe_in_order(self: Any, images: Tensor) -> Any:
        patches = images.shape[2] // self.config.patch_size * (images.shape[3] // self.config.patch_size)
        order = images.new_ones(len(images), patches).cumsum(1)
        return kind.forward(self, pixel_values=images, noise=order)

    forward: Any = classify
    if headless:
        forward = describe_in_order if network.config.model_type == MASKED else describe  # type: ignore[union-attr]
    network.__class__ = type(kind.__name__, (kind,), {"forward": forward, "__module__": kind.__module__})
    return network


def _library(name: str) -> _Library:
    demanded("hf", f"hf/{name}")
    library = import_module("transformers")
    # One object with what is used: where a name lives in the package has changed between versions.
    auto = import_module("transformers.models.auto.configuration_auto")
    makers = import_module("transformers.models.auto.modeling_auto")
    return _Library(
        library.AutoConfig,
        library.AutoModelForImageClassification,
        library.AutoModel,
        library.AutoBackbone,
        frozenset(auto.CONFIG_MAPPING_NAMES),
        frozenset(makers.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES),
        frozenset(makers.MODEL_MAPPING_NAMES),
        library.utils.logging,
    )


@dataclass(frozen=True)
class _Library:
    """The parts of transformers that are used.

    Attributes
    ----------
    types
        All that it has a configuration of.
    classifiers, bodies
        The types of which it has an image classifier, and a network without a head.
    """

    AutoConfig: Any
    Classifier: Any
    Body: Any
    Backbone: Any
    types: frozenset[str]
    classifiers: frozenset[str]
    bodies: frozenset[str]
    logging: Any

    def maker(self, config: Any, *, headless: bool) -> Any:
        """Return what makes a network of a configuration."""
        if not headless:
            return self.Classifier
        return self.Body if config.model_type in self.bodies else self.Backbone


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
