"""How long steps took, and where that is kept."""

import pytest

from flows.timing import StepTime, note_times, step_times
from flows.unit import Ended, Unit
from stitchpipe.run import RunPlace


def finished(step, begun_s, ended_s):
    return Ended(Unit(step, "s", "out", (str(begun_s),)), "done", begun_s, ended_s)


def test_a_step_lasts_from_its_first_unit_to_the_end_of_its_last():
    times = step_times(
        [finished("dump", 3, 4), finished("train", 0, 3), finished("train", 1, 5), finished("dump", 6, 7)]
    )
    assert times == [StepTime("train", 2, 5, 7), StepTime("dump", 2, 4, 2)]


def test_the_record_keeps_the_last_commands(tmp_path, monkeypatch):
    monkeypatch.setattr("flows.timing._REMEMBERED", 2)
    for total_s in (1.0, 2.0, 3.126):
        note_times(str(tmp_path), [StepTime("train", 2, 0.126, 1.5)], total_s=total_s, processes=2)
    commands = RunPlace.at(tmp_path).files.record("times")["commands"]
    assert [command["total_s"] for command in commands] == [2.0, 3.13]
    assert commands[-1]["steps"] == [{"step": "train", "units": 2, "wall_s": 0.13, "busy_s": 1.5}]
    assert commands[-1]["processes"] == 2


@pytest.mark.parametrize("units", [[], [finished("report", 0, 1)]])
def test_steps_without_units_are_left_out(units):
    assert len(step_times(units)) == len(units)
