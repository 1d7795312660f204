"""The command line."""

from stitchpipe.cli import (
    begin_commands,
    census_command,
    certify_command,
    export_command,
    ingest_command,
    layer_questions,
    maintenance_commands,
    page_commands,
    question_commands,
    run_commands,
    study_command,
    watch_commands,
)
from stitchpipe.cli.app import app, main

__all__ = [
    "app",
    "begin_commands",
    "census_command",
    "certify_command",
    "export_command",
    "ingest_command",
    "layer_questions",
    "main",
    "maintenance_commands",
    "page_commands",
    "question_commands",
    "run_commands",
    "study_command",
    "watch_commands",
]
