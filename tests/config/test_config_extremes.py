"""Absurd values for every kind of number in a sweep: one line and little memory, before anything is built."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from stitchpipe.config import ConfigError, parse
from tests.config.test_config_bounds import SWEEP

VALUES = ("1e30", "-1", "true", "nan", "inf", "-inf", "10000000000000000000000")
TRAINED = (
    '[[models]]\nname = "B"\narchitecture = "cifar_resnet"\ntrain = {{ epochs = {epochs}, seed = {seed} }}'
)
CONTROL = '[[models]]\nname = "C"\ncontrol = {{ kind = "random_codes", shape = [{}, 4, 3] }}'
TLM = '[[stitch]]\nmethod = "tlm"\nsources = ["A/*"]\ntargets = ["A/*"]\n'
AUGMENT = "[dump]\naugment = {{ passes = {passes}, crop = {crop} }}"
PLACES = {
    "size of images": lambda value: {"data": f", size = {value}"},
    "batch of a dump": lambda value: {"more": f"[dump]\nbatch_size = {value}"},
    "row groups": lambda value: {"more": f"[dump]\nrow_groups = {value}"},
    "passes": lambda value: {"more": AUGMENT.format(passes=value, crop=2)},
    "crop": lambda value: {"more": AUGMENT.format(passes=1, crop=value)},
    "workers": lambda value: {"more": f"[run]\nworkers = {value}"},
    "permutations": lambda value: {"more": f"[certainty]\npermutations = {value}"},
    "steps": lambda value: {"more": f"{TLM}steps = {value}"},
    "batch of a stitch": lambda value: {"more": f"{TLM}batch_size = {value}"},
    "seeds of a stitch": lambda value: {"more": f"{TLM}seeds = [{value}]"},
    "epochs": lambda value: {"more": TRAINED.format(epochs=value, seed=0)},
    "seed of a training": lambda value: {"more": TRAINED.format(epochs=1, seed=value)},
    "shape of a control": lambda value: {"more": CONTROL.format(value)},
}
MOST_BYTES = 16 << 20


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("place", PLACES)
def test_an_absurd_value_is_refused_in_one_line(place, value):
    text = SWEEP.format(**{"data": "", "options": "", "more": "", **PLACES[place](value)})
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError) as refused:
            parse(text, where="x.toml", folder=Path())
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    message = str(refused.value)
    assert "\n" not in message
    assert message.startswith("x.toml")
    assert "unknown key" not in message
    assert most < MOST_BYTES
