"""A fault that strikes once while a run is watched, and what had been done by then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from flows.loopback.outcome import done_in
from flows.processes import ProcessError

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient

    from flows.installation import PrefectInstallation
    from flows.loopback.faults import Fault
    from stitchpipe.run import RunPlace


class Disturbance:
    """Strikes when a fault is due; afterwards starts again what has ended, as a container engine would.

    Without a fault, it demands that nothing ends.

    Attributes
    ----------
    struck
        What was killed, in words, or None.
    done
        The units that were done before the fault struck, and when each was begun.
    """

    def __init__(
        self,
        fault: Fault | None,
        place: RunPlace,
        installation: PrefectInstallation,
        client: SyncPrefectClient,
        say: Callable[[str], None],
    ) -> None:
        self._fault, self._place, self._installation, self._client = fault, place, installation, client
        self._say, self.struck, self.done = say, None, {}

    struck: str | None
    done: dict[str, float]

    def look(self, run: UUID) -> None:
        """Do what is to be done at one look at a run."""
        if self._fault is None:
            self._installation.must_run()
        elif self.struck is not None:
            self._installation.restart_ended(but=self._fault.gone)
        elif self._fault.is_due(self._client, run, self._place):
            time.sleep(self._fault.after_s)
            self.done = done_in(self._place)
            self.struck = self._fault.strike(self._installation, self._client, run, self._place)
            self._say(f"killed {self.struck}, with {len(self.done)} units done")

    def demand_struck(self) -> None:
        """Raise `flows.processes.ProcessError` if there is a fault and its time never came."""
        if self._fault is not None and self.struck is None:
            raise ProcessError(
                where=f"--during {self._fault.during}",
                expected="a unit of that step, or a run that is being submitted",
                found="that the run ended without one having been seen",
                remedy="Choose a phase that lasts for more than a second.",
            )

    def done_again(self) -> tuple[str, ...]:
        """Return the units that were done before the fault struck, and were begun anew after it."""
        now = done_in(self._place)
        return tuple(unit for unit, begun_s in self.done.items() if now.get(unit) != begun_s)
