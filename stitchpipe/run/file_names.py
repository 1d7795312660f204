"""The names of the files of a run, below its root; `stitchpipe.run.place` says what lies where."""

from __future__ import annotations

import re

TIMES = "times"
"""The record of how long the steps of each command took."""
REPORT = "report"


def report_folder(part: str | None) -> str:
    """Return the folder of the page of a whole sweep, or of the part of one that is called `part`."""
    if part is None:
        return REPORT
    # Names of published files are for people and for any web server: others are spelt with what these allow.
    return f"{REPORT}/parts/{re.sub(r'[^A-Za-z0-9._-]', '_', part).strip('.')[:100]}"


def weights_name(model: str, key: str) -> str:
    """Return the name of the weights that were trained under `key`."""
    return f"models/{model}/weights-{key}"


def model_record(model: str) -> str:
    """Return the name of a model's record: what was declared, which weights that gave."""
    return f"models/{model}/model"


def inspection_record(model: str) -> str:
    """Return the name of the record of what a network consists of."""
    return f"models/{model}/inspection"


def dump_record(model: str, split: str) -> str:
    """Return the name of a dump's record: what was declared, which fingerprint that gave."""
    return f"models/{model}/dump-{split}"


def live_record(model: str, split: str) -> str:
    """Return the name of the record of activations that were not kept: what was declared, and what made them."""
    return f"models/{model}/live-{split}"


def map_name(key: str) -> str:
    """Return the name of a fitted map."""
    return f"maps/{key}"


def curve_name(key: str) -> str:
    """Return the name of a training's losses."""
    return f"curves/{key}"


def detector_name(key: str) -> str:
    """Return the name of a trained detector."""
    return f"detectors/{key}"
