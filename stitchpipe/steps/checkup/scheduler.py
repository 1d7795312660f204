"""Looks at a Dask cluster: its scheduler, its workers, their versions and their memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from stitchpipe.errors import first_line
from stitchpipe.sizes import size_of
from stitchpipe.steps.checkup.check import Look, ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stitchpipe.steps.checkup.check import Check

_SUBJECT: Final = "scheduler"
_ANSWER_S: Final = 5.0
_PACKAGES: Final = ("stitchpipe", "zarr", "obstore", "scipy", "torch")
"""Versions that should be equal on all workers, beside those that Dask itself asks for."""


def looks_at_scheduler(address: str) -> tuple[Look, ...]:
    """Return the look at the cluster of a Dask scheduler, ``tcp://host:port``."""
    return (Look(_SUBJECT, address, lambda: _cluster(address), within_s=4 * _ANSWER_S),)


def _cluster(address: str) -> Iterator[Check]:
    from distributed import Client  # noqa: PLC0415 - a second, for those who have a cluster

    try:
        client = Client(address, timeout=_ANSWER_S, set_as_default=False)
    except (OSError, ValueError) as error:
        remedy = "Start it with `dask scheduler`, or look at the address and at what lies between."
        yield problem(_SUBJECT, address, f"no scheduler answers: {first_line(error)}", remedy)
        return
    with client:
        workers = client.scheduler_info(n_workers=-1)["workers"]
        yield ok(_SUBJECT, address, f"answers, with {len(workers)} workers")
        if not workers:
            remedy = f"Start workers: `dask worker {address}`. A comparison waits for the first one."
            yield problem(_SUBJECT, "workers", "none", remedy)
            return
        yield _memory(workers)
        yield _versions(cast("Mapping[str, Any]", client.get_versions(packages=list(_PACKAGES))))


def _memory(workers: Mapping[str, Mapping[str, Any]]) -> Check:
    limits = sorted(int(worker["memory_limit"] or 0) for worker in workers.values())
    threads = sorted({int(worker["nthreads"]) for worker in workers.values()})
    found = (
        f"{size_of(limits[0])} to {size_of(limits[-1])} each, {' or '.join(map(str, threads))} threads each"
    )
    if not limits[0]:
        remedy = "Start them with --memory-limit: without one a worker is killed by the system, not by Dask."
        return warning(_SUBJECT, "memory", "workers without a limit", remedy)
    if limits[0] < limits[-1] / 2:
        remedy = "The sweep's run.memory_limit_bytes must fit into the smallest."
        return warning(_SUBJECT, "memory", found, remedy)
    return ok(_SUBJECT, "memory", found)


def _versions(told: Mapping[str, Any]) -> Check:
    here = told["client"]["packages"]
    others = {"scheduler": told["scheduler"], **told["workers"]}
    wrong: dict[str, set[str]] = {}
    for where, answer in others.items():
        for name, there in (answer or {}).get("packages", {}).items():
            # The scheduler calculates nothing, and need not have what workers do.
            if there != here.get(name) and (there is not None or where != "scheduler"):
                wrong.setdefault(name, set()).add(str(there or "none"))
    if not wrong:
        return ok(_SUBJECT, "versions", f"equal to this machine's, of {len(here)} packages")
    found = "; ".join(
        f"{name} {here.get(name) or 'none'} here, {', '.join(sorted(there))} there"
        for name, there in sorted(wrong.items())
    )
    return problem(_SUBJECT, "versions", found, "Install the versions of requirements.lock on all machines.")
