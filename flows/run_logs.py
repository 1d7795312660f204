"""Logs of units on the pages of a flow run: what this package logs goes to Prefect's server too."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from prefect.context import FlowRunContext
from prefect.logging.handlers import APILogHandler

if TYPE_CHECKING:
    from collections.abc import Iterator

_OURS: Final = ("flows", "stitchpipe")


@contextmanager
def logs_of_this_run() -> Iterator[None]:
    """Send what our packages log in the block to the flow run, from every thread that belongs to it."""
    handler = APILogHandler()
    handler.addFilter(lambda _: FlowRunContext.get() is not None)
    loggers = [logging.getLogger(name) for name in _OURS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
