"""float16 to float32 by integer arithmetic: exact, and several times faster than NumPy's own conversion."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_MASK = np.int32(-0x7000_2000)  # sign, exponent and fraction once shifted into float32's places: 0x8fffe000
_REBIAS = np.float32(2.0**112)  # 2^(127 - 15)


def widen(half: npt.NDArray[np.float16], into: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Write finite float16 values as float32 into an array of the same shape, and return it.

    Bits are moved to where float32 has them, and the product with 2^112 corrects the exponent, subnormal
    numbers included. Infinities and NaN would become finite: stores never hold them. Time O(values).
    """
    bits = into.view(np.int32)
    bits[...] = half.view(np.int16)  # sign-extended
    np.left_shift(bits, 13, out=bits)
    np.bitwise_and(bits, _MASK, out=bits)
    into *= _REBIAS
    return into
