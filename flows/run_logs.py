"""Logs of a flow run: those of units go to Prefect's server too, and none of them ends the run."""

from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, Final, cast

from prefect.context import FlowRunContext
from prefect.logging.handlers import APILogHandler, PrefectConsoleHandler

if TYPE_CHECKING:
    from collections.abc import Iterator

_OURS: Final = ("flows", "stitchpipe")


@contextmanager
def logs_of_this_run() -> Iterator[None]:
    """Send what our packages log in the block to the flow run, from every thread that belongs to it."""
    survive_without_reader()
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


def survive_without_reader() -> None:
    """Let Prefect's console handlers go on where nobody reads any more what they write.

    A flow run writes into a pipe to the worker that started it. Where the worker is gone, the console raises
    `SystemExit` in whichever thread logs next, and the run would end, or wait for that thread for ever.
    """
    handlers = {
        handler
        for logger in (logging.root, *logging.root.manager.loggerDict.values())
        for handler in getattr(logger, "handlers", ())
        if isinstance(handler, PrefectConsoleHandler)
    }
    for handler in handlers:
        if not isinstance(handler.console.file, _Unbroken):
            handler.console.file = cast("IO[str]", _Unbroken(handler.console.file))


class _Unbroken:
    """A stream whose reader may go away: what is written then is lost."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with suppress(BrokenPipeError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(BrokenPipeError):
            self._stream.flush()
