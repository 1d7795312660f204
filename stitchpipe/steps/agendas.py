"""Which units a run has, put on record for whoever asks how far it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stitchpipe.run.agenda import agenda_declared
from stitchpipe.run.names import SPLITS
from stitchpipe.steps.work_units import units

if TYPE_CHECKING:
    from stitchpipe.run import Run


def begin_agenda(run: Run) -> None:
    """Put on record what is known of a run's units before its networks are; errors as `storage.CheckedFiles`."""
    agenda_declared(run.sweep).keep(run.place.files)


def keep_agenda(run: Run) -> None:
    """Put on record which units a run has, now that its networks are known. Raises the errors of `units` too.

    Units of the models that are left out, as `run.sweep.left_out` has them, stay as they follow from the sweep.
    """
    known, agenda = units(run), agenda_declared(run.sweep)
    gone, networks = sorted(run.sweep.left_out), [*known.models]
    named = {
        **agenda.units,
        "inspect": tuple(f"inspect {model}" for model in (*networks, *gone)),
        "train": tuple(f"train {model}" for model in (*networks, *gone)),
        "dump": (
            *(f"dump {model} {split}" for model, split in known.dumps),
            *(f"dump {model} {split}" for model in gone for split in SPLITS if run.sweep.dump.keep),
        ),
        "stitch": tuple(f"stitch {model} {layer}" for model, layer in known.targets),
    }
    replace(agenda, units=named, left_out=tuple(gone), is_complete=True).keep(run.place.files)
