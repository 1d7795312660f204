"""Shares of work for several workers of one run: each has its own, and then takes what the others have not begun."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

Item = TypeVar("Item", bound="Hashable")

MOST_PARTS: Final = 64
"""How many parts a dump is cut into at most."""


def in_order(costs: Mapping[Item, float], share: tuple[int, int]) -> list[Item]:
    """Return items in the order in which the worker with share ``(k, n)`` takes them.

    Items are dealt to the shares from the costliest down, each to the share that has least so far; of several, to that
    with the fewest items, so that items of no known cost are spread too. A worker takes its
    own from the costliest down, and those of others from the cheapest up: what these take last.

    >>> in_order({"a": 3, "b": 2, "c": 2, "d": 1}, (0, 2))
    ['a', 'd', 'c', 'b']
    >>> in_order({"a": 3, "b": 2, "c": 2, "d": 1}, (1, 2))
    ['b', 'c', 'd', 'a']
    """
    number, of = share
    load = [(0.0, 0, each) for each in range(of)]
    shares: list[list[Item]] = [[] for _ in range(of)]
    for item in sorted(costs, key=lambda item: -costs[item]):
        lightest, count, each = heapq.heappop(load)
        shares[each].append(item)
        heapq.heappush(load, (lightest + costs[item], count + 1, each))
    own = shares.pop(number)
    others = [item for of_another in shares for item in of_another]
    return own + sorted(others, key=lambda item: costs[item])


def parts_of(cost: float, total: float, shares: int) -> int:
    """Return into how many parts something is cut, so that none is more than a fair share of the whole.

    >>> parts_of(6, 8, 4), parts_of(1, 8, 4), parts_of(8, 8, 1)
    (3, 1, 1)
    """
    if shares == 1 or cost <= 0:
        return 1
    return max(1, min(MOST_PARTS, -int(-(cost * shares) // total)))
