"""The command line."""

from stitchpipe.cli import (
    ingest_command,
    maintenance_commands,
    question_commands,
    run_commands,
    watch_commands,
)
from stitchpipe.cli.app import app, main

__all__ = [
    "app",
    "ingest_command",
    "main",
    "maintenance_commands",
    "question_commands",
    "run_commands",
    "watch_commands",
]
