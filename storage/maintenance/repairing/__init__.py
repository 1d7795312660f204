"""Repair: damaged files are put aside, what follows from sound records is made again, the rest is named."""

from storage.maintenance.repairing.store import Redo, Repair, repair

__all__ = ["Redo", "Repair", "repair"]
