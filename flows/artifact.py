"""What a run shows in Prefect, for people: findings, its units, a picture, how far it is, and where the page is."""

from __future__ import annotations

import base64
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import httpx
from prefect import get_run_logger
from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from stitchpipe.run.file_names import REPORT
from stitchpipe.run.place import RunPlace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from uuid import UUID

    from flows.course import Course

MOST_ROWS: Final = 1000
"""Units that a table shows, those that failed first."""


class Shown:
    """The artifacts of a flow run, each under a key of its own that tells the run's name.

    They are there to be looked at: what Prefect's server does not take is left out, and ends no run.
    """

    def __init__(self, course: Course) -> None:
        self._course, self._place = course, RunPlace.at(course.asked.out)
        self._name = slug(self._place.url)
        self._progress: UUID | None = None

    def progress(self, step: str) -> None:
        """Show how many steps of the course are behind; `step` is what comes next."""
        with _left_out_unless_taken():
            self._tell_progress(step)

    def end(self) -> None:
        """Show how the units ended, what was found, a picture of it, and where the page is."""
        with _left_out_unless_taken():
            self._tell_progress("")
            self._tell_end()

    def _tell_progress(self, step: str) -> None:
        course = self._course.asked.course
        done = 100.0 * (course.index(step) / len(course) if step else 1.0)
        told = f"{len(self._course.ended)} units; {step or 'done'}"
        if self._progress is None:
            key = f"progress-{self._name}"
            # Outside of an event loop it is the id itself.
            self._progress = cast("UUID", create_progress_artifact(done, key=key, description=told))
        else:
            update_progress_artifact(self._progress, done, description=told)

    def _tell_end(self) -> None:
        table = self._units()
        if table:
            create_table_artifact(table, key=f"units-{self._name}", description="Units of work")
        reports = [each for each in self._course.ended if each.unit.step == "report" and each.is_there]
        if not reports:
            return
        text = markdown(reports[-1].record, sweep=str(reports[-1].record.get("sweep", "")))
        create_markdown_artifact(text, key=f"sweep-{self._name}", description="Findings")
        self._page()
        figures = [each.key for each in self._place.files.place.files(f"{REPORT}/figures")]
        if figures:
            create_image_artifact(
                image_url=_embedded(self._place.files.place.read(figures[0])),
                key=f"picture-{self._name}",
                description=figures[0].rpartition("/")[2],
            )

    def _page(self) -> None:
        """Link the page. No browser follows the URL of a bucket: there the command that shows it is told."""
        if self._place.is_folder:
            create_link_artifact(
                link=Path(self._place.url, REPORT, "index.html").as_uri(),
                link_text="The page",
                key=f"page-{self._name}",
                description=self._place.url,
            )
        else:
            create_markdown_artifact(
                f"`stitchpipe open {cell(self._place.url)}`", key=f"page-{self._name}", description="The page"
            )

    def _units(self) -> list[dict[str, Any]]:
        ended = sorted(self._course.ended, key=lambda each: each.is_there)
        return [
            {
                "unit": each.unit.name,
                "ended": each.state,
                "seconds": round(each.seconds, 1),
                "reason": "" if each.reason is None else str(each.reason),
            }
            for each in ended[:MOST_ROWS]
        ]


@contextmanager
def _left_out_unless_taken() -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError as error:  # Prefect's client has tried several times
        get_run_logger().warning("not shown, because the server did not take it: %r", error)


def _embedded(picture: bytes) -> str:
    """Return a PNG as a URL that holds it: pages of the server show no file of a disk, and none of a bucket."""
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def markdown(record: Mapping[str, Any], *, sweep: str) -> str:
    """Return the record as markdown: its findings (``title``, ``answer``) as a table, the rest as a list."""
    findings = record.get("findings") or []
    rows = [f"| {cell(finding['title'])} | {cell(finding['answer'])} |" for finding in findings]
    table = ["| question | answer |", "| --- | --- |", *rows, ""] if rows else []
    rest = [f"- **{cell(name)}**: {cell(value)}" for name, value in record.items() if name != "findings"]
    return "\n".join([f"# {cell(sweep)}", "", *table, *rest])


def cell(value: object) -> str:
    """Return a value as one line of text that neither ends a table cell nor starts HTML."""
    text = " ".join(str(value).split())
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def slug(name: str) -> str:
    """Return a run's place as an artifact key: the lower case letters and digits of its last part, and dashes."""
    last = name.rstrip("/").rpartition("/")[2].removesuffix(".toml").lower()
    return re.sub(r"[^a-z0-9]+", "-", last).strip("-") or "sweep"
