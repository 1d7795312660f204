"""What a finished sweep shows in Prefect: a short markdown artifact with its findings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from prefect.artifacts import create_markdown_artifact

if TYPE_CHECKING:
    from collections.abc import Mapping


def publish(record: Mapping[str, Any], *, sweep: str) -> None:
    """Attach the report's record to the flow run that is being executed, as an artifact of its own key."""
    create_markdown_artifact(
        markdown(record, sweep=sweep), key=f"sweep-{slug(sweep)}", description="Findings"
    )


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


def slug(sweep: str) -> str:
    """Return a sweep's name or path as an artifact key: lower case letters, digits and single dashes."""
    return (
        re.sub(r"[^a-z0-9]+", "-", sweep.rpartition("/")[2].removesuffix(".toml").lower()).strip("-")
        or "sweep"
    )
