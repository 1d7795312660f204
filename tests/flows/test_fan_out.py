"""Runs that were sent are watched through an absence of the server, and not for ever."""

from types import SimpleNamespace
from uuid import uuid4

import httpx
import pytest
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Running

from flows import fan_out

AWAY, GONE = httpx.ConnectError("refused"), ObjectNotFound(http_exc=Exception("gone"))


class Server:
    """Answers one thing after the other about the runs."""

    def __init__(self, *answers):
        self._answers = list(answers)

    def read_flow_run(self, _run):
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(state=answer)


def watched(*answers, runs=1):
    return fan_out._Watched(Server(*answers), [uuid4() for _ in range(runs)])


@pytest.mark.parametrize(
    ("answers", "under_way"),
    [
        ((Completed(), Running()), True),
        ((Completed(), None), True),
        ((Completed(), Completed()), False),
        ((GONE, Completed()), False),
        ((GONE, Running()), True),
    ],
)
def test_runs_are_under_way_until_all_have_ended(answers, under_way):
    assert watched(*answers, runs=2).are_under_way() is under_way


def test_a_server_that_is_away_for_a_while_ends_no_run():
    runs = watched(AWAY, AWAY, Completed())
    assert [runs.are_under_way() for _ in range(3)] == [True, True, False]


def test_a_server_that_stays_away_is_told_of(monkeypatch):
    runs = watched(AWAY)
    monkeypatch.setattr(fan_out, "AWAY_S", -1.0)
    with pytest.raises(httpx.ConnectError):
        runs.are_under_way()


def test_each_answer_begins_the_wait_anew(monkeypatch):
    now = iter([1000.0, 1250.0, 1550.0])
    monkeypatch.setattr(fan_out, "time", SimpleNamespace(monotonic=lambda: next(now)))
    runs = watched(Running(), AWAY, AWAY)
    assert runs.are_under_way()
    assert runs.are_under_way()  # for 250 s
    with pytest.raises(httpx.ConnectError):
        runs.are_under_way()  # for 550 s


def test_it_is_looked_the_more_rarely_the_longer_nothing_ended_and_the_longer_a_look_takes():
    assert [fan_out._pause_s(looks, 0.01) for looks in range(6)] == [1, 2, 5, 10, 10, 10]
    assert fan_out._pause_s(0, 0.5) == 10
    assert fan_out._pause_s(3, 7.0) == fan_out.LONGEST_REST_S
