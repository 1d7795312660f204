"""The state of a training that is under way, as files of the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage import CorruptError, NotFoundError

if TYPE_CHECKING:
    from storage import CheckedFiles


@dataclass(frozen=True)
class TrainingState:
    """Where the state of a training is kept while it lasts: the newest is what a killed one goes on from.

    Each state is a file of its own, because nothing is ever overwritten; the one before it is removed behind it.
    """

    files: CheckedFiles
    key: str

    @property
    def _folder(self) -> str:
        return f"training/{self.key}"

    def save(self, data: bytes) -> None:
        """Keep a state, and give up those before it."""
        older = self.files.listing(self._folder)
        # The new state is written before the older ones are removed, so that there is a sound one at every
        # moment.
        number = 1 + max((int(state.name.rpartition("/")[2]) for state in older), default=0)
        self.files.write(f"{self._folder}/{number:06d}", ".safetensors", data)
        for state in older:
            self.files.remove(state.name)

    def load(self) -> bytes | None:
        """Return the newest state that is sound, or None: a training that cannot go on begins anew."""
        # The newest state comes first. A damaged one is passed over for the one before it.
        for state in reversed(self.files.listing(self._folder)):
            try:
                return self.files.read(state)
            except (CorruptError, NotFoundError):
                continue
        return None

    def forget(self) -> None:
        """Remove every state: the training is over."""
        for state in self.files.listing(self._folder):
            self.files.remove(state.name)
