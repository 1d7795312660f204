"""The activation store."""
