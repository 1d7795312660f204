"""Sweeps of Python objects."""
