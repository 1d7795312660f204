"""Where a run lies, in a folder or a bucket: its store, and beside it every file that it keeps, under one contract.

=====================  ====================================================================================
``store.zarr/``        activations, splits, summaries; or elsewhere, and the record ``store`` says where
``models/MODEL/…``     weights that were trained here; records of what was inspected, trained and dumped
``maps/``              fitted maps
``curves/``            losses of trainings, with their budgets
``training/``          states of trainings that are going on
``detectors/``         trained out-of-distribution detectors
``results/``           numbers, a Parquet part for each unit of work
``layers/…``           records of the numbers that layers have by themselves
``deletions/…``        records of layers held against their own first principal components
``report/``            the page, published under names for people; below ``report/parts`` those of parts of the sweep
``sweep.toml``         the declaration as it was dumped last, published too
=====================  ====================================================================================

Everything but the store goes through `storage.CheckedFiles`: written whole, named by its digest, checked whenever it is
read, and seen by `stitchpipe verify`, `repair` and `gc`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stitchpipe.errors import ExplainedError
from stitchpipe.run.file_names import report_folder
from storage import CheckedFiles, CorruptError, NotFoundError, Summaries, open_place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.results import Catalogue
    from stitchpipe.run.deletions import Deletions
    from stitchpipe.run.layer_numbers import LayerNumbers
    from storage import Store

STORE, SUMMARIES = "store.zarr", "summaries"
"""Folders of a run that are not files of its own: they keep their own books."""
DECLARATION = "sweep.toml"
FINDINGS = "findings.json"


class PlaceError(ExplainedError, ValueError):
    """There is no run, or no telling where its store lies: another place than recorded, or no folder."""


@dataclass(frozen=True)
class RunPlace:
    """The root of a run. Nothing is created before something is written.

    Attributes
    ----------
    url
        A folder's absolute path, or ``s3://bucket/prefix``.
    """

    url: str

    @classmethod
    def at(cls, place: str | Path) -> RunPlace:
        """Return the run's place at a path or URL.

        Raises
        ------
        PlaceError
            It is a file.
        """
        text = str(place)
        if "://" in text:
            return cls(text.rstrip("/"))
        path = Path(text).expanduser().absolute()
        if path.exists() and not path.is_dir():
            raise PlaceError(
                where="--out", expected="a folder", found=f"the file {path}", remedy="Name another place."
            )
        return cls(str(path))

    @property
    def is_folder(self) -> bool:
        """Whether it lies on this machine's file system."""
        return "://" not in self.url

    @cached_property
    def files(self) -> CheckedFiles:
        """Every file of the run beside its store."""
        return CheckedFiles(open_place(self.url), others=(STORE, SUMMARIES))

    @cached_property
    def summaries(self) -> Summaries:
        """Summaries beside a store that cannot be written, read alone; most runs have none."""
        return Summaries(open_place(f"{self.url}/{SUMMARIES}"), mode="r")

    @cached_property
    def results(self) -> Catalogue:
        """The numbers."""
        from stitchpipe.results import Catalogue  # noqa: PLC0415 - half of what a worker process starts with

        return Catalogue(self.files)

    @cached_property
    def layer_numbers(self) -> LayerNumbers:
        """The numbers of single layers."""
        from stitchpipe.run.layer_numbers import LayerNumbers  # noqa: PLC0415 - as above

        return LayerNumbers(self.files)

    @cached_property
    def deletions(self) -> Deletions:
        """The low-rank deletions of layers."""
        from stitchpipe.run.deletions import Deletions  # noqa: PLC0415 - as above

        return Deletions(self.files)

    def demand_current(self) -> None:
        """Refuse the folder of a run that an earlier version left, whose files carry no digests.

        Raises
        ------
        PlaceError
            Says what to do; nothing of it is read.
        """
        # Names of this version carry a digest behind a tilde; a table without one was left by an earlier
        # version.
        older = [entry.key for entry in self.files.place.files("results") if "~" not in entry.key]
        if any(key.endswith(".parquet") for key in older):
            raise PlaceError(
                where=self.url,
                expected="a run whose files carry their digests in their names",
                found=f"one of an earlier version, with {older[0]}",
                remedy="Choose another --out folder. Its store can be used again: [store] url in the sweep's file.",
            )

    def demand_begun(self) -> None:
        """Refuse a place where no run ever began; raises `PlaceError`."""
        if self.files.are_there or self.has_store:
            return
        is_there = not self.is_folder or Path(self.url).is_dir()
        raise PlaceError(
            where=self.url,
            expected="the folder or URL of a run",
            found="nothing of one" if is_there else "no such folder",
            remedy="Give the --out folder of a run, or make one with `stitchpipe quickstart`.",
        )

    @property
    def store_url(self) -> str:
        """Path or URL of the activation store: in the run's place, unless the run recorded another."""
        record = self.files.record("store")
        return f"{self.url}/{STORE}" if record is None else str(record["url"])

    def settle_store(self, url: str) -> None:
        """Record that the run's store lies at `url`.

        Raises
        ------
        PlaceError
            The run has a store already, elsewhere.
        """
        known = self.store_url
        if known == url:
            return
        usual = f"{self.url}/{STORE}"
        # The usual place may still be given up for another one, as long as no store lies there.
        if known != usual or self.has_store:
            raise PlaceError(
                where=self.url,
                expected=f"the run's store at {known}",
                found=f"a sweep that puts it at {url}",
                remedy="Choose another --out folder for another store.",
            )
        self.files.put_record("store", {"url": url})

    @property
    def has_store(self) -> bool:
        """Whether there is a store where the run has it; nothing of it is read."""
        return bool(open_place(self.store_url).directories()) or self._store_record_is_there()

    def _store_record_is_there(self) -> bool:
        return open_place(self.store_url).size("zarr.json") is not None

    def open_store(self) -> Store:
        """Open the run's store for reading; `storage.NotFoundError` where there is none."""
        from storage import open_store  # noqa: PLC0415 - brings zarr, which questions about numbers never use

        return open_store(self.store_url)

    def declare(self, toml: str) -> None:
        """Keep the sweep as it is declared, which a repair dumps again by."""
        self.files.publish("", {DECLARATION: toml.encode()})

    def declaration(self) -> str | None:
        """Return the sweep that was dumped last, as TOML, or None."""
        if self.files.place.size(DECLARATION) is None:
            return None
        return self.files.read_published("", DECLARATION).decode()

    def publish_report(
        self, page: Mapping[str, bytes], findings: Mapping[str, Any], part: str | None = None
    ) -> None:
        """Put the report's files and the record of its findings into its folder, see `report_folder`."""
        record = json.dumps(findings, indent=1, sort_keys=True).encode()
        self.files.publish(report_folder(part), {**page, FINDINGS: record})

    def has_page(self, part: str | None = None) -> bool:
        """Whether a page was published, and is as it was."""
        try:
            return bool(self.files.read_published(report_folder(part), "index.html"))
        except (NotFoundError, CorruptError):
            return False

    def findings(self, part: str | None = None) -> dict[str, Any] | None:
        """Return the record of the findings that the report shows, or None where there is none."""
        try:
            return dict(json.loads(self.files.read_published(report_folder(part), FINDINGS)))
        except NotFoundError:
            return None


def named_store(place: str | Path) -> str:
    """Return the path or URL of the store that people mean: a run's place stands for its store.

    Raises
    ------
    PlaceError
        `place` is a file.
    """
    text = str(place).rstrip("/") or "/"
    if text.endswith(".zarr") or open_place(text).size("zarr.json") is not None:
        return text
    return RunPlace.at(text).store_url
