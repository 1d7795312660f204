"""Faults that strike one after the other while runs are watched, and what had been done by then."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.loopback.outcome import done_in
from flows.processes import ProcessError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient

    from flows.installation import PrefectInstallation
    from flows.loopback.faults import Fault
    from stitchpipe.run import RunPlace


@dataclass(frozen=True)
class Strike:
    """A fault that struck.

    Attributes
    ----------
    run
        The flow run of the sweep that was under way.
    killed
        What was killed, in words.
    done
        The units that were done by then, and when each was begun.
    """

    run: UUID
    killed: str
    done: Mapping[str, float]


class Disturbance:
    """Strikes when the next fault is due; starts again what has ended, as a container engine would.

    Until the first fault it demands that nothing ends.

    Attributes
    ----------
    strikes
        What has struck so far.
    """

    def __init__(
        self,
        faults: Iterable[Fault],
        place: RunPlace,
        installation: PrefectInstallation,
        client: SyncPrefectClient,
        say: Callable[[str], None],
    ) -> None:
        self._to_come, self._gone = deque(faults), list[str]()
        self._place, self._installation, self._client = place, installation, client
        self._say, self.strikes = say, list[Strike]()

    def look(self, run: UUID) -> None:
        """Do what is to be done at one look at a run."""
        if self.strikes:
            self.restart()
        else:
            self._installation.must_run()
        if self._to_come and self._to_come[0].is_due(self._client, run, self._place):
            self._strike(self._to_come.popleft(), run)

    def restart(self) -> None:
        """Start again what has ended, but for what never comes back."""
        self._installation.restart_ended(but=self._gone)

    def _strike(self, fault: Fault, run: UUID) -> None:
        time.sleep(fault.after_s)
        done = done_in(self._place)
        killed = fault.strike(self._installation, self._client, run, self._place)
        self.strikes.append(Strike(run, killed, done))
        self._gone += fault.gone
        self._say(f"killed {killed}, with {len(done)} units done")

    def has_struck(self, run: UUID) -> bool:
        """Return whether a fault struck while this run was under way."""
        return any(strike.run == run for strike in self.strikes)

    def demand_struck(self) -> None:
        """Raise `flows.processes.ProcessError` if the time of a fault never came."""
        if self._to_come:
            raise ProcessError(
                where=f"{self._to_come[0].victim}/{self._to_come[0].during}",
                expected="a unit of that step, or a run that is being submitted",
                found="that the run ended without one having been seen",
                remedy="Choose a phase that lasts for more than a second, and faults in the order of the phases.",
            )

    def done_again(self) -> tuple[str, ...]:
        """Return the units that were done before a fault struck, and were begun anew after it."""
        now = done_in(self._place)
        before = ((unit, begun_s) for strike in self.strikes for unit, begun_s in strike.done.items())
        return tuple(dict.fromkeys(unit for unit, begun_s in before if now.get(unit) != begun_s))
