"""How long a comparison would take here, by trying a little of its own work: what it will do, done to random rows."""

from stitchpipe.engine.rehearsal.seconds import Seconds, rehearsed

__all__ = ["Seconds", "rehearsed"]
