"""A run's place with the made-up results of three networks."""

from __future__ import annotations

from stitchpipe.results import table_of_records
from stitchpipe.run import RunPlace
from tests import synthetic_results


def made_up(folder):
    """Return the place of a run that holds `tests.synthetic_results` and nothing else."""
    frame = synthetic_results.results().astype(object)
    place = RunPlace.at(folder)
    place.results.write("made-up", table_of_records(frame.where(frame.notna(), None).to_dict("records")))
    return place
