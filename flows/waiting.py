"""Units of work that wait for a worker process: in the order of their ranks, some not before a certain time."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Future

    from flows.unit import Ended, Unit


@dataclass(frozen=True, slots=True)
class Order:
    """A unit that is to be carried out.

    Attributes
    ----------
    rank
        Among those that are ready the lowest is taken first.
    future
        Where its end is told.
    tries
        How often it failed before, in this run, for reasons that pass.
    ready_s
        Not to be taken before, by the monotonic clock.
    visits
        How often somebody else was found to work on it.
    """

    unit: Unit
    rank: int
    future: Future[Ended]
    tries: int = 0
    ready_s: float = 0.0
    visits: int = 0


class WaitingUnits:
    """A queue that several threads take from."""

    def __init__(self) -> None:
        self._orders: list[Order] = []
        self._changed = threading.Condition()
        self._is_closed = False

    def put(self, order: Order) -> None:
        """Add a unit."""
        with self._changed:
            self._orders.append(order)
            self._changed.notify()

    def take(self) -> Order | None:
        """Wait for a unit that is ready, and take it; None when the queue is closed."""
        with self._changed:
            while not self._is_closed:
                now_s = time.monotonic()
                ready = [order for order in self._orders if order.ready_s <= now_s]
                if ready:
                    chosen = min(ready, key=lambda order: order.rank)
                    self._orders.remove(chosen)
                    return chosen
                soonest = min((order.ready_s for order in self._orders), default=None)
                self._changed.wait(None if soonest is None else soonest - now_s)
            return None

    def close(self) -> list[Order]:
        """Let every `take` return None from now on; return the units that were still waiting."""
        with self._changed:
            self._is_closed = True
            left, self._orders = self._orders, []
            self._changed.notify_all()
            return left
