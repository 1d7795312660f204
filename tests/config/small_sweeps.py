"""A sweep that is as small as can be, and what it is refused with."""

from __future__ import annotations

from pathlib import Path

import pytest

from stitchpipe import config

MODEL = """
[[models]]
name = "A"
architecture = "cifar_resnet"
train = { epochs = 1 }
"""
ORIGIN = "train = { epochs = 1 }"
MINIMAL = 'name = "tiny"\n[data]\nkind = "digits"\n' + MODEL
COMPARE = '[[compare]]\nview = "pooled"\nindices = ["cka"]\n'
DM = '[[stitch]]\nmethod = "dm"\nsources = ["A/*"]\ntargets = ["A/*"]\n'
TLM = DM.replace('"dm"', '"tlm"')
DATA = [
    'kind = "digits"',
    'kind = "digits"\nseed = 4\nlimit = 3\ntest_fraction = 0.5',
    'kind = "image_folder"\nroot = "a \\"b\\\\"\nlimit = 7\nmean = [0.5]',
    """kind = "torchvision"\ndataset = "FakeData"\ndownload = true
    options = { size = 12, image_size = [3, 6, 5], nested = { a = ["x\\ty", true], "odd key" = 1.5 } }
    splits = { train = {}, test = { random_offset = 100 } }""",
    """kind = "arrays"\nlayout = "NCHW"\nchannels = 1\nsize = 8
    files = { train = "a.npz", test = "/data/b.parquet" }
    columns = { label = "fine label" }""",
    'kind = "arrays"\nfiles = { train = "a.npy", test = "b.npz" }\nlabel_files = { train = "y.npy" }',
    'kind = "flat_folder"\nroot = "a"\ntest_fraction = 0.25\nseed = 1\nlimit = 4',
    'kind = "object"\nname = "mine"\ndigests = { train = "ab", test = "cd" }',
    'kind = "entry_point"\ndataset = "cells"\noptions = { stain = "HE" }\nlimit = 9\nseed = 3',
]
"""Tables [data] of every kind with images."""
ORIGINS = [
    "pretrained = true",
    'pretrained = "IMAGENET1K_V1"',
    "untrained = true",
    "untrained = true\nseed = 3",
    'weights = "a.pt"',
    "object = true",
    "train = {}",
]
"""What says where a network comes from."""


def parsed(text: str, folder: Path = Path()) -> config.Sweep:
    return config.parse(text, where="sweep.toml", folder=folder)


def with_data(data: str) -> str:
    return MINIMAL.replace('kind = "digits"', data)


def refused(text: str) -> config.ConfigError:
    with pytest.raises(config.ConfigError) as caught:
        parsed(text)
    error = caught.value
    assert all((error.where, error.expected, error.found, error.remedy))
    return error
