"""One thing that was looked at, and how looks are carried out: side by side, each within its time, none raising."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from stitchpipe.errors import ExplainedError, named_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

WITHIN_S: Final = 10.0
"""How long one look may take before it counts as failed."""


@dataclass(frozen=True, slots=True)
class Check:
    """What was found of one thing.

    Attributes
    ----------
    subject
        What it belongs to: ``installation``, ``machine``, ``sweep``, ``server``, ``scheduler``, ``run``.
    name
        What was looked at.
    state
        ``problem`` where something does not work, or will not; ``warning`` where somebody should know.
    found
        What there is.
    remedy
        What to do; empty where nothing is to be done.
    """

    subject: str
    name: str
    state: Literal["ok", "warning", "problem"]
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """Something to look at.

    Attributes
    ----------
    subject, name
        As of the check that says that the look itself failed.
    find
        Gives the checks; may raise whatever it likes.
    within_s
        How long it may take.
    """

    subject: str
    name: str
    find: Callable[[], Iterable[Check]]
    within_s: float = WITHIN_S


def ok(subject: str, name: str, found: str) -> Check:
    """Return a check that found nothing amiss."""
    return Check(subject, name, "ok", found)


def warning(subject: str, name: str, found: str, remedy: str) -> Check:
    """Return a check that found what somebody should know."""
    return Check(subject, name, "warning", found, remedy)


def problem(subject: str, name: str, found: str, remedy: str) -> Check:
    """Return a check that found what does not work."""
    return Check(subject, name, "problem", found, remedy)


def checks_of(looks: Sequence[Look]) -> list[Check]:
    """Carry out some looks side by side; return what they found, in their order.

    A look that raises, or takes longer than it may, becomes a problem. Its thread is left behind and ends with the
    process, because a call that waits for a network cannot be interrupted.
    """
    answers = [_begun(look) for look in looks]
    begun = time.monotonic()
    checks: list[Check] = []
    for look, answer in zip(looks, answers, strict=True):
        left_s = max(0.0, begun + look.within_s - time.monotonic())
        try:
            checks += answer.get(timeout=left_s)
        except queue.Empty:
            checks.append(
                problem(
                    look.subject,
                    look.name,
                    f"no answer within {look.within_s:.0f} s",
                    "Look if what answers here is overloaded, or cannot be reached from this machine.",
                )
            )
    return checks


def _begun(look: Look) -> queue.SimpleQueue[list[Check]]:
    answer: queue.SimpleQueue[list[Check]] = queue.SimpleQueue()
    threading.Thread(target=lambda: answer.put(_carried_out(look)), name=look.name, daemon=True).start()
    return answer


def _carried_out(look: Look) -> list[Check]:
    try:
        return list(look.find())
    except ExplainedError as error:
        found = f"{error.where}: {error.found}, where {error.expected} was expected"
        return [problem(look.subject, look.name, found, error.remedy)]
    except Exception as error:  # noqa: BLE001 - a look that fails is what the doctor is asked about
        remedy = "Try what it looks at by hand; the doctor did not foresee this."
        return [problem(look.subject, look.name, named_line(error), remedy)]
