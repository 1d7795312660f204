"""The tables of a sweep file, and how such a file is read."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field, ValidationError, field_validator, model_validator

from stitchpipe.config.data import Count, Data, Seed
from stitchpipe.config.index_names import ONE_ROW_PER_IMAGE, IndexName
from stitchpipe.config.model import Model, Training, resolved
from stitchpipe.config.refusal import ConfigError, RefusalError, Section, nearest
from stitchpipe.config.store import Dump, Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_core import ErrorDetails

LEAST_PERMUTATIONS = 19
Init: TypeAlias = Literal["random", "identity", "dm"]


class Compare(Section):
    """One table of indices over all pairs of layers, under one view."""

    view: Literal["positions", "pooled", "flatten"]
    indices: tuple[IndexName, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _independent_rows(self) -> Compare:
        _refuse_repeats("indices", self.indices)
        refused = [name for name in self.indices if name.partition("(")[0] in ONE_ROW_PER_IMAGE]
        if self.view == "positions" and refused:
            raise RefusalError(
                expected=f"independent rows for `{refused[0]}`",
                found="view 'positions', where the rows of one image are not",
                remedy="Ask for it under 'pooled' or 'flatten'"
                + (", or for `cka_biased` here." if refused[0] == "cka" else "."),
            )
        return self


class Stitch(Section):
    """A set of stitches: source layer, map, the rest of the target network."""

    method: Literal["dm", "tlm"]
    sources: tuple[str, ...] = Field(min_length=1, description="MODEL/LAYER globs")
    targets: tuple[str, ...] = Field(min_length=1, description="MODEL/LAYER globs")
    pairs: Literal["all", "self", "corresponding"] = Field(
        default="all",
        description="all: every source into every target; self: a layer into itself; "
        "corresponding: layers of the same name in different models",
    )
    init: tuple[Init, ...] = Field(
        default=("random",), min_length=1, description="tlm: where training starts"
    )
    seeds: tuple[Seed, ...] = Field(default=(0,), min_length=1, description="tlm")
    steps: Count = Field(default=300, description="tlm: optimiser steps")
    batch_size: Count = Field(default=256, description="tlm")
    learning_rate: float = Field(default=1e-3, gt=0, description="tlm: Adam")
    weight_decay: float = Field(default=1e-5, ge=0, description="tlm: Adam")

    @field_validator("sources", "targets")
    @classmethod
    def _addresses(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            if "/" not in pattern:
                raise RefusalError(
                    expected="globs of the form MODEL/LAYER",
                    found=f"'{pattern}'",
                    remedy=f"Write '*/{pattern}'?",
                )
        return patterns


class Ood(Section):
    """How far stitched representations are from the target's own."""

    neighbours: Count = Field(default=10, description="k of the k-nearest-neighbour distance")


class Certainty(Section):
    """How sure the numbers of comparisons are."""

    intervals: bool = Field(
        default=True, description="95 % intervals, by leaving out one group of images at a time"
    )
    permutations: int = Field(
        default=200,
        description="of images, for p-values and calibrated scores; 0 for none, otherwise at least 19",
    )

    @field_validator("permutations")
    @classmethod
    def _enough(cls, count: int) -> int:
        if count != 0 and count < LEAST_PERMUTATIONS:
            raise RefusalError(
                expected=f"0, or at least {LEAST_PERMUTATIONS}: fewer cannot reach p = .05",
                found=str(count),
                remedy="200 resolve p-values down to .005.",
            )
        return count


class Run(Section):
    """Where the work is done. Results do not depend on it beyond the last digits of floating-point sums."""

    workers: Count = Field(
        default=2, description="Dask worker processes of the local cluster, one thread each"
    )
    memory_limit_bytes: Annotated[int, Field(ge=2**26)] = Field(
        default=2 * 2**30, description="per worker; tiles are planned to stay below it"
    )
    products: Literal["float64", "float32"] = Field(
        default="float64",
        description="precision in which blocks of rows are multiplied; sums are float64. float32 is about twice as "
        "fast and right to about 6 digits",
    )
    backend: Literal["numpy", "torch"] = Field(
        default="numpy",
        description="array library of these products; torch forms them on run.device, one local worker per GPU",
    )
    torch_threads: Count = Field(
        default=1, description="of forward passes and training; no faster with two on two shared cores"
    )
    writers: Count | None = Field(
        default=None, description="threads that compress a dump; default: 1, and 4 beside a GPU"
    )
    queue_mib: Count = Field(default=128, description="what of a dump may wait to be written")
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="for forward passes and training, and for products by torch"
    )


class Sweep(Section):
    """A whole sweep, as declared in a file."""

    name: str = Field(min_length=1)
    data: Data
    models: tuple[Model, ...] = Field(min_length=1)
    dump: Dump = Dump()
    store: Store = Store()
    compare: tuple[Compare, ...] = ()
    stitch: tuple[Stitch, ...] = ()
    ood: Ood = Ood()
    certainty: Certainty = Certainty()
    run: Run = Run()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Sweep:
        _refuse_repeats("models", [model.name for model in self.models])
        _refuse_repeats("compare views", [table.view for table in self.compare])
        networks = [model.name for model in self.models if not model.ingested]
        if self.data.kind == "store" and networks:
            raise RefusalError(
                expected="data with images, for the networks to run on",
                found=f"data.kind 'store' with the networks {', '.join(networks)}",
                remedy="Name the images, or set ingested = true for these models.",
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
        ingested = [model.name for model in self.models if model.ingested]
        if not self.dump.keep and (self.stitch or ingested):
            raise RefusalError(
                expected="networks that are only compared, because dump.keep = false writes no activations",
                found="stitches, which are trained from a store"
                if self.stitch
                else f"ingested activations of {', '.join(ingested)}, which are in a store",
                remedy="Set dump.keep = true, or leave these out.",
            )
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the models' names in the order of the file."""
        return tuple(model.name for model in self.models)

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

    def layer_globs(self, model: Model) -> tuple[str, ...]:
        """Return which layers of `model` are dumped."""
        return model.layers or (("*",) if model.ingested else self.dump.layers)


def load(source: str | Path) -> Sweep:
    """Read a sweep from a TOML file, or one shipped with the package by its name (``"quickstart"``).

    Raises
    ------
    ConfigError
        The file is missing, is not TOML, or describes no valid sweep.
    """
    path = Path(source)
    if path.suffix != ".toml" and str(source) in shipped():
        text = resources.files("stitchpipe").joinpath("sweeps", f"{source}.toml").read_text("utf-8")
        return parse(text, where=f"the shipped sweep '{source}'", folder=Path())
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            where=str(path),
            expected="a readable sweep file",
            found=error.strerror
            if isinstance(error, OSError) and error.strerror
            else "text that is not UTF-8",
            remedy=f"Give the path of a TOML file, or a shipped sweep: {', '.join(shipped())}.",
        ) from None
    return parse(text, where=str(path), folder=path.parent)


def shipped() -> tuple[str, ...]:
    """Return the names of the sweeps that come with the package."""
    folder = resources.files("stitchpipe").joinpath("sweeps")
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml")))


def parse(text: str, *, where: str, folder: Path) -> Sweep:
    """Validate the text of a sweep; relative paths in it start at `folder`."""
    try:
        sweep = Sweep.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            where=where, expected="TOML", found=str(error), remedy="Correct the file at that place."
        ) from None
    except ValidationError as error:
        raise _config_error(where, error.errors()) from None
    return _resolve_paths(sweep, folder)


def _resolve_paths(sweep: Sweep, folder: Path) -> Sweep:
    def start(path: Path | None) -> Path | None:
        return None if path is None else resolved(path, folder)

    models = tuple(model.starting_at(folder) for model in sweep.models)
    data = sweep.data.model_copy(
        update={
            "root": start(sweep.data.root),
            "files": {split: start(path) for split, path in sweep.data.files.items()},
            "label_files": {split: start(path) for split, path in sweep.data.label_files.items()},
        }
    )
    store = sweep.store
    if store.url is not None and "://" not in store.url:
        store = store.model_copy(update={"url": str(start(Path(store.url)))})
    return sweep.model_copy(update={"models": models, "data": data, "store": store})


def _config_error(where: str, errors: Sequence[ErrorDetails]) -> ConfigError:
    """Turn pydantic's list into one message: a misspelt key first, because it also causes a missing one."""
    first = min(errors, key=lambda error: error["type"] != "extra_forbidden")
    place = f"{where}, {_key_path(first['loc'])}" if first["loc"] else where
    more = f" ({len(errors) - 1} more in this file.)" if len(errors) > 1 else ""
    refusal = first.get("ctx", {}).get("error")
    if isinstance(refusal, RefusalError):
        return ConfigError(
            where=place, expected=refusal.expected, found=refusal.found, remedy=refusal.remedy + more
        )
    if first["type"] == "extra_forbidden":
        known = _keys_at(first["loc"][:-1])
        found, expected = f"the unknown key '{first['loc'][-1]}'", f"one of the keys {', '.join(known)}"
        remedy = nearest(str(first["loc"][-1]), known) or "Remove it."
    elif first["type"] == "missing":
        found, expected, remedy = "none", "a value", "Add this key."
    else:
        found, expected = repr(first["input"]), first["msg"].removeprefix("Input should be ")
        remedy = nearest(str(first["input"]), expected.replace("'", " ").split()) or "Correct the value."
    return ConfigError(where=place, expected=expected, found=found, remedy=remedy + more)


def _key_path(location: Sequence[int | str]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")


def _keys_at(location: Sequence[int | str]) -> tuple[str, ...]:
    """Return the keys that the table at `location` may have."""
    sections: dict[str, type[Section]] = {
        "data": Data, "models": Model, "train": Training, "dump": Dump,
        "store": Store, "compare": Compare, "stitch": Stitch, "ood": Ood, "certainty": Certainty, "run": Run,
    }  # fmt: skip
    names = [part for part in location if isinstance(part, str)]
    return tuple((sections[names[-1]] if names else Sweep).model_fields)


def _refuse_repeats(what: str, names: Sequence[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise RefusalError(
            expected=f"{what} that differ",
            found=f"{', '.join(repeated)} more than once",
            remedy="Rename or merge them.",
        )
