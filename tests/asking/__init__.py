"""Questions to a run."""
