"""What a run has measured: names of measures as they are spelt, and the view where only one is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stitchpipe.asking.errors import WorkspaceError, listed
from stitchpipe.registry import find_measure

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from stitchpipe.measures import Measure
    from stitchpipe.run.place import RunPlace


@dataclass(frozen=True)
class Measured:
    """A measure under a view, of which a run has numbers.

    Attributes
    ----------
    about
        What there is to know of the measure; None of one whose package is not installed.
    """

    name: str
    view: str
    about: Measure | None

    @property
    def title(self) -> str:
        """How it stands on a figure."""
        return self.name if self.about is None else self.about.title

    def demand_direction(self) -> bool:
        """Return whether larger is more similar; `WorkspaceError` where the values say nothing of it."""
        if self.about is None or self.about.larger_is_more_similar is None:
            raise WorkspaceError(
                where=f"measure {self.name}",
                expected="a measure whose values say what is more similar",
                found="one that says nothing of similarity",
                remedy="`stitchpipe indices` lists the measures.",
            )
        return self.about.larger_is_more_similar


def measured(place: RunPlace, measure: str, view: str | None = None) -> Measured:
    """Return a measure by any spelling of its name, and its view: the one that is given, or the only one there is.

    Raises
    ------
    WorkspaceError
        The run has no numbers of it, or under several views and none is given.
    stitchpipe.results.QueryError
        There are no results.
    """
    views = views_of(place)
    name = _spelt(place, measure, views)
    return Measured(name, _view(place, name, views[name], view), find_measure(measure))


def views_of(place: RunPlace) -> dict[str, list[str]]:
    """Return the views of every measure that a run has numbers of. Reads two columns of the results."""
    table = place.results.table('SELECT DISTINCT "index", view FROM results ORDER BY ALL')
    views: dict[str, list[str]] = {}
    for name, view in zip(table["index"].to_pylist(), table["view"].to_pylist(), strict=True):
        views.setdefault(name, []).append(view)
    return views


def _view(place: RunPlace, measure: str, known: list[str], view: str | None) -> str:
    where = f"{measure} in {place.url}"
    if view is not None and view not in known:
        raise WorkspaceError.unknown(where, "a view under which it was measured", view, known)
    if view is None and len(known) > 1:
        raise WorkspaceError(
            where=where,
            expected="the view that is meant, because it was measured under several",
            found="none named",
            remedy=f"Say which, view='{known[0]}' for example: {listed(known)}.",
        )
    return known[0] if view is None else view


def demand_known(place: RunPlace, measures: Sequence[str]) -> list[str]:
    """Return measures as results spell them; `WorkspaceError` for one without numbers."""
    views = views_of(place)
    return [_spelt(place, measure, views) for measure in measures]


def _spelt(place: RunPlace, measure: str, known: Collection[str]) -> str:
    """Return the spelling of a measure that results have: ``gulp(0.10)`` is ``gulp(0.1)``."""
    about = find_measure(measure)
    name = measure if about is None else about.name
    if name not in known:
        raise WorkspaceError.unknown(
            f"results of {place.url}", "a measure of which there are numbers", measure, sorted(known)
        )
    return name
