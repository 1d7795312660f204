"""The fourth step: every declared stitch into one target layer, trained from the store and judged on the test split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from storage import Address, Representation, Store, check_pairing, open_store
from stitchpipe.algebra.maps import AffineMap
from stitchpipe.catalogue import Result
from stitchpipe.config import ConfigError, Sweep
from stitchpipe.graph import tail
from stitchpipe.mapfile import read_map, write_map
from stitchpipe.ood import TargetReference, score
from stitchpipe.rows import grid_label, grid_of, rows_per_sample
from stitchpipe.stitching import StitchingLayer, TrainingBudget, accuracy, stitched_activations, stitched_logits, train_task_loss
from stitchpipe.sweep.compare import STITCH_VIEW, map_key
from stitchpipe.sweep.dump import fingerprint, load_network
from stitchpipe.sweep.folder import Folder, key_of
from stitchpipe.sweep.jobs import Job, LayerName, jobs
from stitchpipe.sweep.networks import TEST, TRAIN, device_of, layer_table, one_thread_per_unit
from stitchpipe.sweep.progress import Report, silent
