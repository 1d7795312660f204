"""The trained detector: a classifier of representations, its training, and the foreign images that it learns from."""
