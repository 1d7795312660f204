"""What the product reports as numbers: types only, light, and below every room that computes."""

from stitchpipe.measures.number import EXTRAS, OK, Number, NumberError

__all__ = ["EXTRAS", "OK", "Number", "NumberError"]
