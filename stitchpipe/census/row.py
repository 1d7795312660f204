"""What a census finds out about one network, as a value and as a record."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION: Final = 2
"""Of the record; raised when what is checked changes. Rows of another version are made again."""

THIRDS: Final = ("first", "middle", "last")

TOLERANCE: Final = 1e-5
"""Of a tail's answer from the network's own, relative to the largest number in it: kernels round otherwise where a
value lies otherwise in memory. What differs by more is a mismatch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One network in a census.

    Attributes
    ----------
    name, library, family
        See `Subject`.
    outcome
        ``split``: a cut in each third of its depth, single or joint, and everything that was checked agrees. ``not
        split``: it runs, and `reason` says what is missing. ``not reached``: it could not be built, takes no image, or
        exceeded a limit.
    reason
        Why it is not split, or was not reached.
    network
        Its class.
    parameters
        Of what was built.
    reduced
        Which options took blocks away from a network that is otherwise too large; empty of a whole one.
    image
        ``(C, H, W)`` of the images it was given.
    answer
        ``logits`` or ``features``.
    traced_by, by_hooks
        ``fx`` or ``hooks``, and why hooks.
    signature
        Digest of the names and shapes of its tensors: of networks that have the same, one is counted as distinct.
    layers, cuts
        How many, functions left out.
    cuts_by_third, functions_by_third
        Cuts whose place in the order of layers is in the first, middle and last third: those that are modules' outputs,
        and those of functions inside modules, which a sweep names exactly.
    joint_cuts, joint_by_third
        Joint cuts that are listed, and those of each third: of the last of their layers the place in the order.
    tested, exact
        Single cuts at which the tail was run on what the head made, and at how many the answer was that of the whole
        network bit for bit.
    joint_tested, joint_exact
        The same of joint cuts.
    largest_difference
        Of the others, relative to the largest number of the answer; the largest float where it is not finite.
    mismatches
        Cuts that differ by more than `TOLERANCE`.
    captured, miscaptured
        Layers whose captured values were held against plain forward hooks, and the names of those that differ.
    seconds, processor_s, peak_mib
        What it cost, in a process of its own.
    versions
        Of the libraries.
    """

    name: str
    library: str
    family: str
    outcome: Literal["split", "not split", "not reached"]
    reason: str = ""
    network: str = ""
    parameters: int = 0
    reduced: str = ""
    image: tuple[int, ...] = ()
    answer: str = ""
    traced_by: str = ""
    by_hooks: str = ""
    signature: str = ""
    layers: int = 0
    cuts: int = 0
    cuts_by_third: tuple[int, ...] = ()
    functions_by_third: tuple[int, ...] = ()
    joint_cuts: int = 0
    joint_by_third: tuple[int, ...] = ()
    tested: int = 0
    exact: int = 0
    joint_tested: int = 0
    joint_exact: int = 0
    largest_difference: float = 0.0
    mismatches: tuple[str, ...] = ()
    captured: int = 0
    miscaptured: tuple[str, ...] = ()
    seconds: float = 0.0
    processor_s: float = 0.0
    peak_mib: int = 0
    versions: str = ""

    def thirds_without(self, *, joint: bool) -> list[str]:
        """Return the thirds of its depth that have no single cut, and with `joint` no joint cut either."""
        single = zip(self.cuts_by_third, self.functions_by_third, strict=True)
        more = self.joint_by_third if joint else (0,) * len(THIRDS)
        return [
            third
            for third, (cuts, functions), together in zip(THIRDS, single, more, strict=True)
            if not cuts + functions + together
        ]

    @property
    def is_split_by_joint_cuts(self) -> bool:
        """Whether it is split, and would not be without its joint cuts."""
        return self.outcome == "split" and bool(self.cuts_by_third and self.thirds_without(joint=False))

    def to_dict(self) -> dict[str, Any]:
        """Return a record of what JSON has."""
        record = {"version": VERSION, **asdict(self)}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in record.items()}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self | None:
        """Return the row that `to_dict` made a record of; None of another version."""
        if record.get("version") != VERSION:
            return None
        known = {field.name for field in fields(cls)}
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in record.items()
        }
        return cls(**{key: value for key, value in values.items() if key in known})
