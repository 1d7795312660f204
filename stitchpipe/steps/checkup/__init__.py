"""What `stitchpipe doctor` looks at: each look gives checks, which say what was found and what to do.

Each module has its own looks and what they need; none imports torch or builds a network.
"""

from stitchpipe.steps.checkup.check import Check, Look, checks_of, ok, problem, warning

__all__ = ["Check", "Look", "checks_of", "ok", "problem", "warning"]
