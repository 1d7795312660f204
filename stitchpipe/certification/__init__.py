"""Every index, view and regime simulated: whether intervals hold what they are for, and nulls find nothing in noise."""

from stitchpipe.certification.blocks import Block
from stitchpipe.certification.cells import Cell, CertificationError, Scope
from stitchpipe.certification.certification import Progress, certify, progress, taken
from stitchpipe.certification.table import certification_page

__all__ = [
    "Block",
    "Cell",
    "CertificationError",
    "Progress",
    "Scope",
    "certification_page",
    "certify",
    "progress",
    "taken",
]
