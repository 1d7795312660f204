"""A study: a question of the literature, what it needs of a run, and how the numbers of a run answer it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stitchpipe.studies.evidence import Evidence
    from stitchpipe.studies.finding import Finding

SCHEMA: Final = 1
"""Version of what `Answer.record` holds; raised when a key changes its meaning."""


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a study needs.

    Attributes
    ----------
    what
        In words, as what is missing.
    finding
        The finding that is there where a run has it.
    toml
        Lines of a sweep file that would add it, where the study's own table does not.
    """

    what: str
    finding: str
    toml: str = ""


@dataclass(frozen=True, slots=True)
class Study:
    """A question of the literature.

    Attributes
    ----------
    name
        Short and stable: as on the command line and in a sweep's ``[[study]]``.
    title
        As a heading.
    question
        As a reader would ask it.
    needs
        What has to be in a run for the whole answer.
    analysis
        From evidence alone to findings: no store, no model. Without results behind them there are none.
    """

    name: str
    title: str
    question: str
    needs: tuple[Need, ...]
    analysis: Callable[[Evidence], Sequence[Finding | None]]

    def answer(self, evidence: Evidence) -> Answer:
        """Return what a run says to the question, and what it lacks.

        Raises
        ------
        StudyError
            The run has two numbers for the same thing.
        """
        findings = tuple(
            replace(finding, study=self.name) for finding in self.analysis(evidence) if finding is not None
        )
        there = {finding.name for finding in findings}
        lacking = tuple(need for need in self.needs if need.finding not in there)
        return Answer(self, evidence.label, findings, lacking)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a run says to a study's question.

    Attributes
    ----------
    study
        Which one.
    run
        What the run is called.
    findings
        In the order of the argument; none where the run has nothing to say.
    lacking
        What the run would need for the whole answer.
    """

    study: Study
    run: str
    findings: tuple[Finding, ...]
    lacking: tuple[Need, ...]

    @property
    def toml(self) -> str:
        """The lines of a sweep file that would add what is lacking: the study's own table, and what it cannot add."""
        own = f'[[study]]\nname = "{self.study.name}"'
        return "\n\n".join(dict.fromkeys([own, *(need.toml for need in self.lacking if need.toml)]))

    def record(self, *, with_tables: bool = True) -> dict[str, Any]:
        """Return the answer as JSON-able values, with the tables and cases of its findings if they are wanted."""
        return {
            "schema": SCHEMA,
            "run": self.run,
            "study": self.study.name,
            "title": self.study.title,
            "question": self.study.question,
            "findings": [finding.record(with_tables=with_tables) for finding in self.findings],
            "lacking": [need.what for need in self.lacking],
            "toml": self.toml if self.lacking else None,
        }
