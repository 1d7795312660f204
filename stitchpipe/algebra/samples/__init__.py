"""Summaries of samples: what is kept of a layer so that its images can be held against each other."""

from stitchpipe.algebra.samples.grams import MOST_IMAGES, SampleGram
from stitchpipe.algebra.samples.neighbours import NEIGHBOURS, NeighbourSets, mutual_neighbours
from stitchpipe.algebra.samples.sample_matrix import SampleMatrix, aligned, alignment, alignments, u_centred
from stitchpipe.algebra.samples.scores import PrincipalScores
from stitchpipe.algebra.samples.similarities import correlations, cosines

__all__ = [
    "MOST_IMAGES",
    "NEIGHBOURS",
    "NeighbourSets",
    "PrincipalScores",
    "SampleGram",
    "SampleMatrix",
    "aligned",
    "alignment",
    "alignments",
    "correlations",
    "cosines",
    "mutual_neighbours",
    "u_centred",
]
