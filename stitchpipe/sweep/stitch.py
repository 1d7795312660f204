"""The fourth step: every declared stitch into one target layer, trained from the store and judged on the test split."""

from __future__ import annotations
