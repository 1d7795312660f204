"""Matrices of numbers as bytes for a page: a decimal grid, blocks, differences, and deflate.

A number of a page is shown with a fixed number of decimals. So what is kept of it is exactly what is shown: the whole
number of units in the last decimal, in 16 bits. Rounding happens here, once, and nothing in the page rounds again.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from math import ceil, inf, isfinite, log10
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from stitchpipe.report.matrices import MEASURED, UNMEASURED, WITHOUT

if TYPE_CHECKING:
    import numpy.typing as npt

    from stitchpipe.report.matrices import Matrix

BLOCK: Final = 512
"""Rows and columns of a block: what a page fetches at once of a run that is too large to stand in it."""
LARGEST: Final = 60_000
"""The largest code of a number."""
FIRST_REASON: Final = 60_001
MOST_REASONS: Final = 5_000
BEYOND: Final = 65_534
"""Code of a number off the grid, which is listed by its place."""
NOTHING: Final = 65_535
"""Code of a pair that was not measured, or has no such number."""
NO_LIMIT: Final = 255
"""Code of a limit that is not there."""
_LARGEST_LIMIT: Final = 120
_FEW: Final = 0.01
"""The share of numbers that may lie off the grid, so that a few far away do not coarsen all others."""
_DIGITS: Final = 4
_MOST_DECIMALS: Final = 300  # ten to the power of more is no float
_EFFORT: Final = 6


@dataclass(frozen=True, eq=False)
class Plane:
    """Numbers of all pairs of layers, as codes.

    Attributes
    ----------
    name
        What they are: ``value``, ``low``, ``p_family`` and so on.
    codes
        ``(sources, targets)``, uint16, or uint8 of limits.
    about
        How the page makes numbers of codes, JSON-able.
    symmetric
        The codes are the same from either side: half of them is kept.
    """

    name: str
    codes: npt.NDArray[Any]
    about: dict[str, Any]
    symmetric: bool

    def blocks(self) -> dict[str, bytes]:
        """Return the deflated blocks by their place, ``row.column``; of a symmetric plane those above the diagonal."""
        blocks = {}
        for row in range(0, len(self.codes), BLOCK):
            for column in range(row if self.symmetric else 0, self.codes.shape[1], BLOCK):
                part = self.codes[row : row + BLOCK, column : column + BLOCK]
                half = self.symmetric and row == column
                codes = part[np.triu_indices(len(part))] if half else part.ravel()
                blocks[f"{row // BLOCK}.{column // BLOCK}"] = _deflated(codes)
        return blocks


def planes(matrix: Matrix, *, symmetric: bool) -> list[Plane]:
    """Return what a page shows of a matrix: its values, and what stands beside them.

    Parameters
    ----------
    symmetric
        Whether the measure is; a plane is halved only where its own codes say the same.
    """
    decimals = decimals_of(matrix.values)
    made = [_values(matrix, decimals)]
    shown = np.round(matrix.values, decimals)
    for name, plane in matrix.beside.items():
        if name == "null_gap":  # what there is to say of it is said of the whole run
            continue
        if name in ("low", "high"):
            made.append(_limits(name, plane, shown, decimals))
        elif name == "condition":
            with np.errstate(divide="ignore"):
                made.append(_on_grid(name, np.log10(plane), 2))
        elif name == "effect_size":
            made.append(_on_grid(name, plane.astype(np.float64), 1))
        else:
            made.append(_whole(name, plane) if name == "rank" else _shares(name, plane))
    return [_halved(plane) for plane in made] if symmetric else made


def plane_of(name: str, values: npt.NDArray[np.float64], decimals: int) -> Plane:
    """Return other numbers of the same measure, such as means, with so many decimals."""
    return _on_grid(name, values, decimals)


def decimals_of(values: npt.NDArray[np.float64]) -> int:
    """Return with how many decimals numbers are shown: four significant digits of the large ones among them."""
    known = np.abs(values[np.isfinite(values)])
    largest = float(np.quantile(known, 1 - _FEW)) if len(known) else 0.0
    # Numbers up to 2 are shown as those up to 1: a similarity that rounding takes above 1 loses no digit by it.
    return min(_MOST_DECIMALS, _DIGITS - ceil(log10(largest / 2))) if largest > 0 else _DIGITS


def embedded(data: bytes) -> str:
    """Return bytes as text that can stand in a script element."""
    return base64.b64encode(data).decode()


def _deflated(codes: npt.NDArray[Any]) -> bytes:
    """Return codes as bytes: each less the one before it, all low bytes and then all high ones, deflated."""
    steps = np.diff(codes, prepend=codes.dtype.type(0))
    plain = steps.astype("<u2").view(np.uint8).reshape(-1, 2).T if steps.dtype.itemsize == 2 else steps
    squeeze = zlib.compressobj(_EFFORT, zlib.DEFLATED, -zlib.MAX_WBITS)
    return squeeze.compress(np.ascontiguousarray(plain).tobytes()) + squeeze.flush()


def _halved(plane: Plane) -> Plane:
    """Return a plane that is kept once, if it is the same from either side.

    Limits may differ by a step where their distance lies on the edge of one: the wider of both holds both.
    """
    codes, other = plane.codes, plane.codes.T
    if codes.dtype == np.uint8 and int(np.abs(codes.astype(np.int16) - other).max(initial=0)) == 1:
        codes = np.maximum(codes, other)
    return Plane(plane.name, codes, plane.about, symmetric=bool(np.array_equal(codes, codes.T)))


def _values(matrix: Matrix, decimals: int) -> Plane:
    plane = _on_grid("value", matrix.values, decimals)
    codes = plane.codes
    reasons = matrix.states >= WITHOUT
    places = np.minimum(matrix.states[reasons] - WITHOUT, MOST_REASONS)
    codes[reasons] = FIRST_REASON + places
    codes[matrix.states == UNMEASURED] = NOTHING
    told = list(matrix.reasons[:MOST_REASONS])
    if len(matrix.reasons) > MOST_REASONS:
        told.append("one of many other reasons: see the results")
    # A number that is infinite is neither on the grid nor a reason.
    odd = (matrix.states == MEASURED) & ~np.isfinite(matrix.values)
    if odd.any():
        codes[odd] = FIRST_REASON + len(told)
        told.append("not a finite number")
    return Plane("value", codes, {**plane.about, "reasons": told}, symmetric=False)


def _on_grid(name: str, values: npt.NDArray[Any], decimals: int) -> Plane:
    """Return numbers as whole units of a decimal; those far from all others are listed."""
    unit = 10.0**decimals
    with np.errstate(invalid="ignore"):
        units = np.rint(values * unit)
    known = units[np.isfinite(units)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    if high - low > LARGEST:
        low, high = _window(known)
    fits = (units >= low) & (units <= high)
    codes = np.full(values.shape, NOTHING, np.uint16)
    codes[fits] = (units[fits] - low).astype(np.uint16)
    far = np.argwhere(np.isfinite(units) & ~fits)
    codes[tuple(far.T)] = BEYOND
    listed = [[int(i), int(j), _short(float(values[i, j]))] for i, j in far]
    about = {"divisor": unit, "offset": low, "decimals": decimals}
    return Plane(name, codes, about | ({"beyond": listed} if listed else {}), symmetric=False)


def _window(known: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the part of the grid, `LARGEST` wide, that holds the most numbers at its upper or lower end."""
    high, low = float(known.max()), float(known.min())
    ends = [(high - LARGEST, high), (low, low + LARGEST), (-1.0, LARGEST - 1.0)]
    middle = float(np.rint(np.median(known))) - LARGEST // 2
    ends.append((middle, middle + LARGEST))
    return max(ends, key=lambda span: int(((known >= span[0]) & (known <= span[1])).sum()))


def _limits(name: str, limits: npt.NDArray[Any], shown: npt.NDArray[np.float64], decimals: int) -> Plane:
    """Return limits by their distance from the number shown, in a byte, rounded outwards.

    Distances near zero are told apart more finely than large ones: the code is the root of the distance.
    """
    away = limits.astype(np.float64) - shown if name == "high" else shown - limits.astype(np.float64)
    known = np.isfinite(away)
    least = min(float(away[known].min(initial=0.0)), 0.0)
    span = max(float(away[known].max(initial=0.0)) - least, 10.0**-decimals)
    codes = np.full(away.shape, NO_LIMIT, np.uint8)
    root = np.sqrt(np.clip((away[known] - least) / span, 0, 1)) * _LARGEST_LIMIT
    codes[known] = np.minimum(np.ceil(root - 1e-6), _LARGEST_LIMIT).astype(np.uint8)
    about = {"least": least, "span": span, "steps": _LARGEST_LIMIT, "decimals": max(decimals - 1, 1)}
    return Plane(name, codes, about, symmetric=False)


def _shares(name: str, shares: npt.NDArray[Any]) -> Plane:
    """Return p-values: they are fractions of one denominator, the permutations and one, and are kept as such."""
    known = shares[np.isfinite(shares)].astype(np.float64)
    least = float(known[known > 0].min(initial=inf))
    whole = round(1 / least) if isfinite(least) and least > 1 / LARGEST else 0
    if whole and np.allclose(known * whole, np.rint(known * whole), atol=1e-3):
        codes = np.full(shares.shape, NOTHING, np.uint16)
        there = np.isfinite(shares)
        codes[there] = np.rint(shares[there].astype(np.float64) * whole).astype(np.uint16)
        return Plane(name, codes, {"divisor": whole, "offset": 0, "decimals": _DIGITS}, symmetric=False)
    return _on_grid(name, shares.astype(np.float64), _DIGITS)


def _whole(name: str, numbers: npt.NDArray[Any]) -> Plane:
    return _on_grid(name, numbers.astype(np.float64), 0)


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS + 1}g}")
