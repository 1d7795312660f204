"""Errors that say which model they are about, whatever room they come from."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def about(model: str) -> Iterator[None]:
    """Put the model's name before the place of an error that does not tell it."""
    try:
        yield
    except ExplainedError as error:
        if model in error.where:
            raise
        raise error.within(f"model '{model}', {error.where}") from error.__cause__
