"""Every index, view and regime simulated: whether intervals hold what they are for, and nulls find nothing in noise."""

from stitchpipe.certification.cells import Cell, CertificationError, Scope
from stitchpipe.certification.certification import Block, certify, taken
from stitchpipe.certification.table import certification_page

__all__ = ["Block", "Cell", "CertificationError", "Scope", "certification_page", "certify", "taken"]
