"""The whole of a sweep file, and what its tables ask of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, PrivateAttr, model_validator

from stitchpipe.config.comparisons import Certainty, Compare
from stitchpipe.config.controls import Permuted
from stitchpipe.config.data import Data, StoredData
from stitchpipe.config.models import ControlModel, IngestedModel, Model, NetworkModel
from stitchpipe.config.ood import Ood
from stitchpipe.config.refusal import ConfigError, RefusalError, refuse_repeats
from stitchpipe.config.run_settings import RunSettings
from stitchpipe.config.section import Beside, Section
from stitchpipe.config.stitches import Stitch, TrainedStitch
from stitchpipe.config.store import Dump, Store
from stitchpipe.config.studies import StudyTable
from stitchpipe.config.values import FolderName
from stitchpipe.config.zoo import Zoo
from stitchpipe.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Collection


class Sweep(Section):
    """A whole sweep: models × data × layers × indices × stitches, as declared in a file."""

    # A table that nothing reads is a mistake; [store] and [run] tell of the machine, and may say more than is used.
    # A study stands for comparisons and stitches until it is expanded.
    BESIDE: ClassVar[tuple[Beside, ...]] = (
        Beside(("certainty",), "compare", unless="study"),
        Beside(("ood",), "stitch", unless="study"),
    )

    name: FolderName = Field(
        examples=["my-sweep"], description="Name of the sweep, and of its folder under runs/."
    )
    part_of: FolderName | None = Field(
        default=None,
        description="The sweep that this is a part of, as --only and --limit make them: its page and its units stand "
        "beside those of the whole, never in their place.",
    )
    data: Data = Field(description="Which images.")
    models: tuple[Model, ...] = Field(
        default=(), description="Networks, or activations alone: one table for each."
    )
    zoo: tuple[Zoo, ...] = Field(
        default=(),
        examples=[["torchvision:resnet*"]],
        description="Rules that name many models at once: globs over the names of libraries or over checkpoints "
        "(torchvision:resnet*, timm:vit_tiny*, hf:folder/*, checkpoints/*.safetensors), or tables that say more.",
    )
    include: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), description="Other sweep files, whose models and rules of zoo belong to this sweep, too."
    )
    dump: Dump = Field(default=Dump(), description="What is written to the activation store.")
    store: Store = Field(default=Store(), description="Where the activation store lies and how it is read.")
    compare: tuple[Compare, ...] = Field(
        default=(), description="Indices over all pairs of layers: one table for each view."
    )
    stitch: tuple[Stitch, ...] = Field(
        default=(), description="Stitches of layers into networks: one table for each set."
    )
    study: tuple[StudyTable, ...] = Field(
        default=(),
        description="Questions of the literature: each adds the comparisons and stitches that it needs.",
    )
    ood: Ood = Field(default=Ood(), description="How far stitched representations are from the target's own.")
    certainty: Certainty = Field(default=Certainty(), description="How sure the numbers of comparisons are.")
    run: RunSettings = Field(default=RunSettings(), description="Where the work is done.")

    _left_out: frozenset[str] = PrivateAttr(default=frozenset())

    @model_validator(mode="after")
    def _has_models(self) -> Sweep:
        if not self.models and not self.is_open:
            raise RefusalError(
                expected="a model: tables [[models]], rules in `zoo`, or another sweep's in `include`",
                found="none",
                remedy="Add zoo = ['torchvision:resnet18'], or a table [[models]].",
            )
        return self

    @model_validator(mode="after")
    def _names_are_unique(self) -> Sweep:
        refuse_repeats("models", [model.name for model in self.models])
        refuse_repeats("compare views", [table.view for table in self.compare])
        networks = [model.name for model in self.networks]
        if isinstance(self.data, StoredData) and networks:
            raise RefusalError(
                expected="data with images, for the networks to run on",
                found=f"data.kind 'store' with the networks {', '.join(networks)}",
                remedy="Name the images, or set ingested = true for these models.",
            )
        return self

    @model_validator(mode="after")
    def _augmented_splits_are_dumped_and_read(self) -> Sweep:
        reads = any(isinstance(stitch, TrainedStitch) and stitch.augmented for stitch in self.stitch)
        if reads and self.dump.augment is None:
            raise RefusalError(
                expected="the table [dump.augment], for stitches with augmented = true",
                found="none",
                remedy="Add [dump.augment] with passes = 5, or so.",
            )
        if self.dump.augment is not None and not reads:
            raise RefusalError(
                expected="a stitch with augmented = true, which reads the splits of [dump.augment]",
                found="none, so that no augmented split would be made",
                remedy="Set augmented = true in a [[stitch]] with method = 'tlm', or remove [dump.augment].",
            )
        return self

    @model_validator(mode="after")
    def _controls_are_of_models(self) -> Sweep:
        if self.is_open:
            return self
        known = [model.name for model in self.models if not isinstance(model, ControlModel)]
        for model in self.models:
            if not isinstance(model, ControlModel) or not isinstance(model.control, Permuted):
                continue
            if model.control.of not in known:
                raise RefusalError(
                    expected=f"`of` to name a model of the sweep ({', '.join(known)})",
                    found=f"'{model.control.of}'",
                    remedy=nearest(model.control.of, known) or "Name another model.",
                )
        return self

    @model_validator(mode="after")
    def _something_is_dumped(self) -> Sweep:
        if "dump" in self.model_fields_set and not self.dumps_something and not self.is_open:
            raise RefusalError(
                expected="a model that is dumped, for the table [dump]",
                found="ingested activations alone, which are in the store",
                remedy="Remove [dump].",
            )
        return self

    @model_validator(mode="after")
    def _views_are_stored(self) -> Sweep:
        kept = self.dump.view
        unfit = [table.view for table in self.compare if kept not in ("full", table.view)]
        if unfit or (kept != "full" and self.stitch):
            raise RefusalError(
                expected=f"comparisons under the view '{kept}' and no stitches, because dump.view keeps only that",
                found=f"a comparison under '{unfit[0]}'" if unfit else "stitches, which need whole layers",
                remedy="Set dump.view = 'full', or leave these out.",
            )
        return self

    @model_validator(mode="after")
    def _kept_where_they_are_read(self) -> Sweep:
        ingested = [model.name for model in self.models if not isinstance(model, NetworkModel)]
        if not self.dump.keep and (self.stitch or ingested):
            raise RefusalError(
                expected="networks that are only compared, because dump.keep = false writes no activations",
                found="stitches, which are trained from a store"
                if self.stitch
                else f"activations without a network, of {', '.join(ingested)}, which are in a store",
                remedy="Set dump.keep = true, or leave these out.",
            )
        alone = [name for table in self.compare for name in table.layer_measures]
        alone += ["deletions" for table in self.compare if table.deletions]
        if not self.dump.keep and alone:
            raise RefusalError(
                expected="stored activations for `layer_measures` and `deletions`, which are read for each layer",
                found=f"dump.keep = false, and {alone[0]}",
                remedy="Set dump.keep = true, or leave these out.",
            )
        if not self.dump.keep and self.store.budget_gib is not None:
            raise RefusalError(
                expected="dump.keep = true beside `store.budget_gib`, which bounds what is written",
                found="dump.keep = false",
                remedy="Remove `store.budget_gib`.",
            )
        return self

    @property
    def is_open(self) -> bool:
        """Whether it has rules, files or studies that are not among its own tables yet; see `expanded`."""
        return bool(self.zoo or self.include or self.study)

    @property
    def dumps_something(self) -> bool:
        """Return whether there is a model whose activations the sweep makes, a network or a control."""
        return not self.models or not all(isinstance(model, IngestedModel) for model in self.models)

    def idle_keys(self) -> set[str]:
        """Return the tables that nothing reads."""
        idle = {key for key in ("models", "zoo", "include", "study") if not getattr(self, key)}
        return super().idle_keys() | idle | (set() if self.dumps_something or self.is_open else {"dump"})

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the models' names in the order of the file."""
        return tuple(model.name for model in self.models)

    @property
    def networks(self) -> tuple[NetworkModel, ...]:
        """Return the models that are networks, in the order of the file."""
        return tuple(model for model in self.models if isinstance(model, NetworkModel))

    @property
    def whole(self) -> str:
        """Return the name of the sweep that a run is known by: this one's, or of the one that this is a part of."""
        return self.part_of or self.name

    def model(self, name: str) -> Model:
        """Return the model called `name`; `ConfigError` with the nearest name if there is none."""
        for model in self.models:
            if model.name == name:
                return model
        raise ConfigError(
            where=f"sweep '{self.name}'",
            expected=f"one of its models ({', '.join(self.labels)})",
            found=f"'{name}'",
            remedy=nearest(name, self.labels) or "Name a declared model.",
        )

    def network(self, name: str) -> NetworkModel:
        """Return the network called `name`; `ConfigError` if there is none, or only activations of that name."""
        model = self.model(name)
        if isinstance(model, NetworkModel):
            return model
        raise ConfigError(
            where=f"model '{name}'",
            expected="a network, which can be run",
            found="activations alone",
            remedy=f"Name one of the networks: {', '.join(each.name for each in self.networks) or 'there are none'}.",
        )

    def without(self, models: Collection[str]) -> Sweep:
        """Return what is left of the sweep when some of its models cannot be had, and nothing else of it changes.

        Controls that are made from one of them go with them. What remains may be less than a file could declare: a
        single model, or none; stitches whose globs then match nothing are none (`stitchpipe.run.stitches`).
        """
        gone = self._left_out | set(models)
        gone |= {
            model.name
            for model in self.models
            if isinstance(model, ControlModel)
            and isinstance(model.control, Permuted)
            and model.control.of in gone
        }
        narrowed = self.model_copy(
            update={"models": tuple(model for model in self.models if model.name not in gone)}
        )
        narrowed._left_out = frozenset(gone)  # noqa: SLF001 - of another sweep, not of another class
        return narrowed

    @property
    def left_out(self) -> frozenset[str]:
        """Return the names of the models that `without` left out."""
        return self._left_out

    def layer_globs(self, model: Model) -> tuple[str, ...]:
        """Return which layers of `model` are dumped."""
        return model.layers or (("*",) if isinstance(model, IngestedModel) else self.dump.layers)
