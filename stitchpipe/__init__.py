"""Compare neural representations: direct matching, task loss matching, CKA, CCA and Procrustes."""

__version__ = "0.1.0"
