"""Finite fields of small order as tables: what affine planes are made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping

Table: TypeAlias = npt.NDArray[np.int64]

ORDERS = (2, 3, 4, 5, 7, 8, 9, 11, 13, 16, 17, 19, 23, 25, 27, 29, 31, 32, 37, 41, 43, 47)
"""Prime powers, without a gap up to 32: there is a field of these orders and of no other."""

_POWERS: Mapping[int, tuple[int, tuple[int, ...]]] = {
    4: (2, (1, 1)),
    8: (2, (1, 1, 0)),
    9: (3, (2, 0)),
    16: (2, (1, 1, 0, 0)),
    25: (5, (2, 0)),
    27: (3, (2, 1, 0)),
    32: (2, (1, 0, 1, 0, 0)),
}
"""Orders that are no primes: the prime p, and c with xᵏ = Σ cᵢxⁱ modulo an irreducible polynomial of degree k."""


@dataclass(frozen=True, eq=False, slots=True)
class Field:
    """Differences, products and quotients of all elements, which are numbers from 0; ``[order, order]`` each.

    What is divided by 0 is 0.
    """

    minus: Table
    times: Table
    over: Table


@cache
def field_of(order: int) -> Field:
    """Return the field of one of the `ORDERS`. Time O(order²)."""
    prime, reduction = _POWERS.get(order, (order, (0,)))
    digits = np.stack([np.arange(order) // prime**power % prime for power in range(len(reduction))], axis=1)
    minus = _numbers((digits[:, None] - digits[None]) % prime, prime)
    times = _numbers(_products(digits, prime, reduction), prime)
    over = np.zeros_like(times)
    for divisor in range(1, order):
        over[times[divisor], divisor] = np.arange(order)
    return Field(minus, times, over)


def _numbers(digits: Table, prime: int) -> Table:
    return np.asarray(digits @ prime ** np.arange(digits.shape[-1]))


def _products(digits: Table, prime: int, reduction: tuple[int, ...]) -> Table:
    """Multiply all polynomials with all; powers from xᵏ on are replaced, the highest first."""
    degree = len(reduction)
    products = np.zeros((len(digits), len(digits), 2 * degree - 1), np.int64)
    for power in range(degree):
        products[..., power : power + degree] += digits[:, None, power, None] * digits[None]
    for power in range(2 * degree - 2, degree - 1, -1):
        products[..., power - degree : power] += products[..., power, None] * np.array(reduction)
    return products[..., :degree] % prime
