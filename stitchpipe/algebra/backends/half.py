"""float16 to float32 by integer arithmetic: exact, and several times faster than NumPy's own conversion."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_MASK = np.int32(-0x7000_2000)  # sign, exponent and fraction once shifted into float32's places: 0x8fffe000
_REBIAS = np.float32(2.0**112)  # 2^(127 - 15)


def widen(half: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
    """Return finite float16 values as float32, in the same memory layout.

    Bits are moved to where float32 has them, and the product with 2^112 corrects the exponent, subnormal
    numbers included. Infinities and NaN would become finite: stores never hold them. Time O(values), one
    float32 copy.
    """
    bits = half.view(np.int16).astype(np.int32)  # sign-extended
    np.left_shift(bits, 13, out=bits)
    np.bitwise_and(bits, _MASK, out=bits)
    wide = bits.view(np.float32)
    wide *= _REBIAS
    return wide
