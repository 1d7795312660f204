"""How long a comparison would take here, by trying a little of its own work: what it will do, done to random rows."""

from stitchpipe.engine.rehearsal.layering import LayerQuestions, layer_seconds
from stitchpipe.engine.rehearsal.seconds import Seconds, rehearsed

__all__ = ["LayerQuestions", "Seconds", "layer_seconds", "rehearsed"]
