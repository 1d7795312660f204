"""The command that asks a run the questions of the literature."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from stitchpipe.cli.app import app, say


@app.command
def study(
    name: Annotated[
        str | None,
        Parameter(name="NAME", help="Of a study; left out, all of them are listed.", show_default=False),
    ] = None,
    place: Annotated[
        str | None, Parameter(name="RUN", help="Folder of a run, or its s3:// URL.", show_default=False)
    ] = None,
    others: Annotated[
        tuple[str, ...],
        Parameter(
            name="OTHER",
            help="More runs, for studies that hold several against each other.",
            show_default=False,
        ),
    ] = (),
    /,
    *,
    format: Annotated[  # noqa: A002 - what the option is called
        Literal["table", "json"], Parameter(help="json: one document, for programs, with every case.")
    ] = "table",
    cases: Annotated[int, Parameter(help="How many cases of each finding a table shows.")] = 5,
) -> None:
    """Answer a question of the literature from a run's numbers: with intervals, cases, and what would say otherwise.

    `stitchpipe study` lists the studies with their questions.

    `stitchpipe study RUN` says which of them a run has the numbers for, and what it lacks.

    `stitchpipe study self RUN` answers one, and says which lines of a sweep file would add what is lacking.
    """
    from stitchpipe.asking import studies as all_studies
    from stitchpipe.asking import study as one_study
    from stitchpipe.cli import study_tables
    from stitchpipe.cli.rows_out import as_json
    from stitchpipe.run.place import RunPlace
    from stitchpipe.studies import STUDIES

    document: Any
    shown: Any
    if name is None:
        document, shown = study_tables.listed_records(), [study_tables.listing()]
    elif place is None and name not in STUDIES:
        told = all_studies(RunPlace.at(name))
        document = [answer.record(with_tables=False) for answer in told]
        shown = study_tables.standing(told)
    else:
        run = RunPlace.at(study_tables.demand_run(name, place))
        answer = one_study(run, name, [RunPlace.at(other) for other in others])
        document, shown = answer.record(), study_tables.for_people(answer, cases=cases)
    if format == "json":
        sys.stdout.write(as_json(document))
    else:
        say(*shown)
