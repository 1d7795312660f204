"""A flow run outlives whoever reads its logs."""

import logging
import os
from contextlib import suppress

import pytest
from prefect.logging.handlers import PrefectConsoleHandler

from flows.run_logs import survive_without_reader


@pytest.fixture
def console():
    """A logger with Prefect's console on a pipe, and the end that is read."""
    read, write = os.pipe()
    logger = logging.getLogger("tests.of.run_logs")
    stream = os.fdopen(write, "w", encoding="utf-8")
    handler = PrefectConsoleHandler(stream)
    logger.addHandler(handler)
    yield logger, read
    logger.removeHandler(handler)
    with suppress(BrokenPipeError):
        stream.close()


def test_prefects_console_ends_the_program_without_a_reader_and_not_with_us(console):
    logger, read = console
    logger.warning("heard")
    assert b"heard" in os.read(read, 100)
    os.close(read)
    with pytest.raises(SystemExit):  # if Prefect mends it, ours can go
        logger.warning("lost")
    survive_without_reader()
    logger.handlers[0].console.quiet = False  # what the first loss had set
    logger.warning("lost too")


def test_what_is_read_still_arrives(console):
    logger, read = console
    for _ in range(2):
        survive_without_reader()
    logger.warning("heard")
    assert b"heard" in os.read(read, 100)
    os.close(read)
