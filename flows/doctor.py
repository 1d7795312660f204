"""What `stitchpipe doctor` looks at of a Prefect server: an entry point of the group ``stitchpipe.doctors``.

The server is asked by HTTP and Prefect is not imported: that takes seconds, and a client of another version than the
server's could not read its answers, which is one of the things to be found.
"""

from __future__ import annotations

import base64
import os
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import httpx

from stitchpipe.errors import first_line
from stitchpipe.steps.checkup import Look, ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from stitchpipe.steps.checkup import Check

SUBJECT: Final = "server"
ANSWER_S: Final = 5.0
"""How long one request may take."""
STARTING: Final = timedelta(minutes=2)
"""How long a flow run may take from a worker's hands to its start (docker/automations.yaml says so too)."""
SILENT: Final = timedelta(seconds=150)
"""After how long without a heartbeat a run is lost; they come every 30 s (prefect.yaml, docker/automations.yaml)."""
ENTRY: Final = "flows.sweep."
"""What the entry points of this project's deployments begin with."""
DEPLOYED: Final = ("sweep/nightly", "dump/gpu", "stitch/gpu")
"""The deployments of prefect.yaml."""
MOST: Final = 200
"""Prefect gives at most so many of anything at a time."""

_DEPLOY: Final = "`prefect --no-prompt deploy --all` in the project's folder deploys what prefect.yaml says."
_AUTOMATE: Final = "`python -m flows.automations docker/automations.yaml` installs them."


class Server:
    """The REST interface of a Prefect server, asked without Prefect.

    Parameters
    ----------
    url
        Its address, as in ``PREFECT_API_URL``.
    environ
        Where its key or password stands, if it wants one.
    """

    def __init__(self, url: str, environ: Mapping[str, str]) -> None:
        headers = {}
        if key := environ.get("PREFECT_API_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        elif password := environ.get("PREFECT_API_AUTH_STRING"):
            headers["Authorization"] = f"Basic {base64.b64encode(password.encode()).decode()}"
        self.url = url.rstrip("/")
        self._client = httpx.Client(base_url=self.url, headers=headers, timeout=ANSWER_S)

    def get(self, path: str) -> Any:
        """Return what a GET answers; `httpx.HTTPError` where it fails."""
        return self._client.get(path).raise_for_status().json()

    def post(self, path: str, asked: Mapping[str, Any]) -> Any:
        """Return what a POST answers; `httpx.HTTPError` where it fails."""
        return self._client.post(path, json=asked).raise_for_status().json()

    def runs(self, states: Sequence[str]) -> list[dict[str, Any]]:
        """Return the flow runs whose state has one of some names, the oldest first."""
        asked = {"flow_runs": {"state": {"name": {"any_": list(states)}}}}
        runs: list[dict[str, Any]] = self.post(
            "/flow_runs/filter", {**asked, "limit": MOST, "sort": "EXPECTED_START_TIME_ASC"}
        )
        return runs


def looks(environ: Mapping[str, str] = os.environ) -> tuple[Look, ...]:
    """Return the look at the server of ``PREFECT_API_URL``; none where there is no such setting."""
    url = environ.get("PREFECT_API_URL")
    if not url:
        return ()
    return (Look(SUBJECT, "server", lambda: checks_of_server(Server(url, environ)), within_s=30.0),)


def checks_of_server(server: Server, now: datetime | None = None) -> Iterator[Check]:
    """Yield what is found of a server; where it does not answer, that is all."""
    try:
        server.get("/health")
        theirs, ours = server.get("/admin/version"), version("prefect")
    except httpx.HTTPError as error:
        remedy = "Start it (`prefect server start`), or look at PREFECT_API_URL, which must end in /api."
        yield problem(SUBJECT, "server", f"no answer at {server.url}: {first_line(error)}", remedy)
        return
    if theirs == ours:
        yield ok(SUBJECT, "server", f"answers at {server.url}, Prefect {theirs} like here")
    else:
        remedy = "Install the same version on all machines: requirements.lock has it."
        yield problem(SUBJECT, "server", f"Prefect {theirs} at {server.url}, {ours} here", remedy)
    for name, checks in (
        ("work pools", _pools(server)),
        ("deployments", _deployments(server)),
        ("automations", _automations(server)),
        ("flow runs", _stuck(server, now or datetime.now(UTC))),
    ):
        try:
            yield from checks
        except (httpx.HTTPError, KeyError, TypeError) as error:
            remedy = "Look if the server is overloaded, or of a version with another interface."
            yield problem(SUBJECT, name, f"the server could not tell: {first_line(error)}", remedy)


def _pools(server: Server) -> Iterator[Check]:
    pools = server.post("/work_pools/filter", {"limit": MOST})
    if not pools:
        remedy = "Make the pools that prefect.yaml names: `prefect work-pool create cpu-pool --type process`."
        yield warning(SUBJECT, "work pools", "none", remedy)
    for pool in pools:
        name, limit = pool["name"], pool["concurrency_limit"]
        workers = server.post(f"/work_pools/{name}/workers/filter", {"limit": MOST})
        online = sum(worker["status"] == "ONLINE" for worker in workers)
        at_once = "any number" if limit is None else str(limit)
        found = f"type {pool['type']}, {at_once} at a time, {online} of {len(workers)} workers online"
        if pool["is_paused"]:
            remedy = f"`prefect work-pool resume {name}` lets it go on."
            yield warning(SUBJECT, f"pool {name}", f"{found}; it is paused", remedy)
        elif limit == 0:
            remedy = f"`prefect work-pool clear-concurrency-limit {name}`, or set one above 0."
            yield problem(SUBJECT, f"pool {name}", f"{found}: nothing can start", remedy)
        elif not online:
            remedy = f"Start one: `prefect worker start --pool {name} --type {pool['type']}`."
            yield problem(SUBJECT, f"pool {name}", f"{found}: nothing starts", remedy)
        else:
            yield ok(SUBJECT, f"pool {name}", found)


def _deployments(server: Server) -> Iterator[Check]:
    deployed = server.post("/deployments/filter", {"limit": MOST})
    flows = {flow["id"]: flow["name"] for flow in server.post("/flows/filter", {"limit": MOST})}
    ours = [one for one in deployed if (one["entrypoint"] or "").startswith(ENTRY)]
    names = {f"{flows.get(one['flow_id'], '?')}/{one['name']}": one for one in ours}
    missing = [name for name in DEPLOYED if name not in names]
    if missing:
        yield warning(SUBJECT, "deployments", f"not deployed: {', '.join(missing)}", _DEPLOY)
    for name, deployment in sorted(names.items()):
        active = [schedule for schedule in deployment["schedules"] if schedule["active"]]
        found = f"in {deployment['work_pool_name']}, {len(active)} active schedules"
        limit = (deployment.get("global_concurrency_limit") or {}).get("limit")
        if deployment["paused"]:
            remedy = f"`prefect deployment schedule resume` or the page's switch lets {name} go on."
            yield warning(SUBJECT, f"deployment {name}", f"{found}; it is paused", remedy)
        elif limit is not None:
            yield warning(SUBJECT, f"deployment {name}", f"{found}, limited to {limit} at a time", _DEPLOY)
        else:
            yield ok(SUBJECT, f"deployment {name}", found)


def _automations(server: Server) -> Iterator[Check]:
    """Look for automations that end runs that are lost: while they run, and before they start."""
    automations = server.post("/automations/filter", {"limit": MOST})
    for what, after in (
        ("run that is lost while it runs", "prefect.flow-run.heartbeat"),
        ("run that is lost before it starts", "prefect.flow-run.Pending"),
    ):
        ending = [
            one for one in automations if after in _words(one["trigger"], "after") and _ends(one["actions"])
        ]
        enabled = [one["name"] for one in ending if one["enabled"]]
        if enabled:
            yield ok(SUBJECT, "automations", f"a {what} is ended by {', '.join(enabled)}")
        elif ending:
            remedy = "Switch it on in Prefect's page under Automations."
            yield warning(
                SUBJECT, "automations", f"{ending[0]['name']} is switched off: a {what} stays", remedy
            )
        else:
            yield warning(SUBJECT, "automations", f"none ends a {what}, and it keeps its slot", _AUTOMATE)


def _words(trigger: Mapping[str, Any], key: str) -> set[str]:
    """Return the events that a trigger, or those it is made of, name under a key."""
    nested: Iterable[Mapping[str, Any]] = trigger.get("triggers", ())
    return set(trigger.get(key, ())).union(*(_words(each, key) for each in nested))


def _ends(actions: Sequence[Mapping[str, Any]]) -> bool:
    return any(
        action["type"] == "cancel-flow-run"
        or (action["type"] == "change-flow-run-state" and action.get("state") in {"CRASHED", "FAILED"})
        for action in actions
    )


def _stuck(server: Server, now: datetime) -> Iterator[Check]:
    """Look for flow runs that do not go on, and hold a slot of their pool."""
    starting = server.runs(("Pending", "Submitting", "InfrastructurePending", "Cancelling"))
    running, late = server.runs(("Running",)), server.runs(("Late",))
    old = [run for run in starting if now - _since(run) > STARTING]
    lost = [run for run in running if now - _since(run) > SILENT and not _gave_sign(server, run, now)]
    for run in old:
        found = f"{run['state_name']} for {_minutes(now - _since(run))}, and not started or ended"
        yield problem(SUBJECT, f"flow run {run['name']}", found, _free(run))
    for run in lost:
        found = f"Running for {_minutes(now - _since(run))}, without a heartbeat for {SILENT.seconds} s"
        yield problem(SUBJECT, f"flow run {run['name']}", found, _free(run))
    if late:
        waiting = max(now - _since(run, "expected_start_time") for run in late)
        found = (
            f"{len(late)} late, by up to {_minutes(waiting)}: {', '.join(run['name'] for run in late[:3])}"
        )
        remedy = "Their pools have no free slot, or no worker: see the pools above."
        yield warning(SUBJECT, "flow runs", found, remedy)
    if not (old or lost or late):
        found = f"none is stuck or late; {len(running)} running, {len(starting)} starting"
        yield ok(SUBJECT, "flow runs", found)


def _gave_sign(server: Server, run: Mapping[str, Any], now: datetime) -> bool:
    """Whether a flow run sent a heartbeat a short while ago."""
    asked = {
        "event": {"name": ["prefect.flow-run.heartbeat"]},
        "resource": {"id": [f"prefect.flow-run.{run['id']}"]},
        "occurred": {"since": (now - SILENT).isoformat(), "until": (now + SILENT).isoformat()},
    }
    return bool(server.post("/events/filter", {"filter": asked, "limit": 1})["events"])


def _free(run: Mapping[str, Any]) -> str:
    """Return how the slot of a run that will not end is freed."""
    return (
        f"If nothing of it lives, `prefect flow-run delete {run['id']}` frees its slot; the next run goes on "
        "where it was."
    )


def _since(run: Mapping[str, Any], key: str = "") -> datetime:
    """Return when a run came into its state, or a time of its own."""
    told = run[key] if key else (run["state"] or {}).get("timestamp") or run["created"]
    return datetime.fromisoformat(told)


def _minutes(duration: timedelta) -> str:
    return f"{duration.total_seconds() / 60:.0f} min"
