"""Tell Prefect of new checkpoints: ``python -m flows.arrivals s3://bucket/checkpoints --run s3://bucket/run``.

Looks at a folder or a bucket every so often. Files that it has not seen before, and that did not change between two
looks, become one event, ``stitchpipe.checkpoint.arrived``, which starts the deployment ``sweep/nightly``
(``prefect.yaml``). What has been seen is a record in the run's place: whoever looks next, from whichever machine, goes
on from there, and a file that arrived while nobody looked is not missed. An event is sent before it is recorded, so
that a kill between the two tells of a file twice and never not at all; a run too many finds nothing to do.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx
from prefect.client.orchestration import get_client
from prefect.events.schemas.events import Event, Resource

from stitchpipe.errors import ExplainedError
from stitchpipe.run import RunPlace
from storage import open_place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from storage import CheckedFiles

#: The name of the event.
EVENT = "stitchpipe.checkpoint.arrived"

#: What a checkpoint's name ends with.
ENDINGS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")

#: Key below the folder -> size and time of modification.
Seen: TypeAlias = dict[str, list[float]]


@dataclass(frozen=True)
class Watched:
    """A folder or bucket in which checkpoints appear, and the record of those that were seen.

    Attributes
    ----------
    url
        Path, or ``s3://bucket/prefix``. Folders below it belong to it.
    files
        Of the run whose place keeps the record.
    """

    url: str
    files: CheckedFiles

    @property
    def record(self) -> str:
        """The name of the record of what was seen."""
        return f"arrivals/{re.sub(r'[^A-Za-z0-9]+', '-', self.url).strip('-')}"

    def now(self) -> Seen:
        """Return the checkpoints that are there; errors as `storage` lists."""
        return {
            entry.key: [entry.n_bytes, entry.modified_s]
            for entry in open_place(self.url).entries()
            if entry.key.lower().endswith(ENDINGS)
        }

    def known(self) -> Seen | None:
        """Return the checkpoints that were told of, or None where nobody ever looked."""
        record = self.files.record(self.record)
        return None if record is None else dict(record["seen"])

    def note(self, seen: Seen) -> None:
        """Put on record what was told of."""
        self.files.put_record(self.record, {"url": self.url, "seen": seen})


def arrived(watched: Watched, *, settle_s: float, tell: Callable[[Event], None]) -> list[str]:
    """Tell of the checkpoints that are new and whole; return their names.

    A file that changes within `settle_s` seconds is still being written, and is left for the next look. The first look
    ever takes everything for known.
    """
    known, first = watched.known(), watched.now()
    if known is None:
        watched.note(first)
        return []
    fresh = {key for key, about in first.items() if known.get(key) != about}
    if not fresh:
        return []
    time.sleep(settle_s)
    second = watched.now()
    whole = {key: second[key] for key in sorted(fresh) if second.get(key) == first[key]}
    if whole:
        tell(event_of(watched.url, whole))
        watched.note({key: about for key, about in known.items() if key in second} | whole)
    return list(whole)


def event_of(url: str, names: Iterable[str]) -> Event:
    """Return the event that tells of new checkpoints."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", url).strip("-")
    resource = {"prefect.resource.id": f"stitchpipe.checkpoints.{slug}", "prefect.resource.name": url}
    return Event(
        event=EVENT, resource=Resource.model_validate(resource), payload={"checkpoints": list(names)}
    )


def send(event: Event) -> None:
    """Send an event to the server of ``PREFECT_API_URL`` and wait until it has taken it."""
    # Prefect's own `emit_event` hands it to a thread and cannot say whether it arrived.
    with get_client(sync_client=True) as client:
        client.request("POST", "/events", json=[event.model_dump(mode="json")]).raise_for_status()


def main(arguments: Sequence[str] | None = None) -> int:
    """Look until interrupted, or once; return 0, or 2 after a mistake."""
    parser = argparse.ArgumentParser(prog="python -m flows.arrivals", description=__doc__)
    parser.add_argument("url", help="folder or s3://bucket/prefix in which checkpoints appear")
    parser.add_argument("--run", required=True, help="place of the run that remembers what was seen")
    parser.add_argument("--every", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--settle", type=float, default=5.0, metavar="SECONDS", help="how long a file rests")
    parser.add_argument("--once", action="store_true", help="look once and end")
    given: Any = parser.parse_args(arguments)
    try:
        watched = Watched(given.url, RunPlace.at(given.run).files)
        while True:
            try:
                names = arrived(watched, settle_s=given.settle, tell=send)
            except (httpx.HTTPError, ExplainedError) as error:
                if given.once:
                    raise
                _say(f"cannot look or tell now: {error}")  # the next look tells of them
            else:
                for name in names:
                    _say(f"new: {name}")
            if given.once:
                return 0
            time.sleep(given.every)
    except (httpx.HTTPError, ExplainedError) as error:
        _say(str(error))
        return 2


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
