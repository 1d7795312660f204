"""The command line of the check."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import flows.loopback
from flows.loopback.check import LoopbackCheck, LoopbackReport
from flows.loopback.faults import PHASES, VICTIMS, Fault
from flows.loopback.outcome import digest_of
from flows.loopback.usage import prefects_share
from flows.processes import ProcessError
from stitchpipe.run import RunPlace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check; return 0 if a run completed and left what it must."""
    given = _parser().parse_args(arguments)
    path = Path(given.sweep)
    sweep = str(path.resolve()) if path.is_file() else given.sweep
    check = LoopbackCheck(
        sweep=sweep,
        out=given.out if given.out is None or "://" in given.out else str(Path(given.out).resolve()),
        steps=tuple(given.steps.split(",")) if given.steps else None,
        faults=tuple(given.kill),
        gpu_workers=given.gpu_workers,
        dask_workers=given.dask_workers,
        timeout_s=given.timeout,
        joined=given.joined,
        query_s=given.poll or 2.0,
        look_s=given.poll or 0.5,
        say=_say,
    )
    signal.signal(signal.SIGTERM, _exit)
    try:
        expected = _reference(sweep, given.reference) if given.reference else None
        report = check.run()
    except ProcessError as error:
        _say(str(error))
        return 1
    _tell(report)
    if given.report:
        given.report.write_text(json.dumps(asdict(report), indent=1), "utf-8")
    if expected is not None:
        _say(
            "the numbers are " + ("those" if report.digest == expected else "NOT those") + " of the reference"
        )
    return int(expected not in (None, report.digest) or bool(report.done_again))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flows.loopback",
        description=flows.loopback.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="victims:\n" + "\n".join(f"  {victim:16}{what}" for victim, what in VICTIMS.items()),
    )
    parser.add_argument("--sweep", default="quickstart", help="a sweep file, or the name of a shipped one")
    parser.add_argument("--out", help="the run's place; default: a bucket that ends with the check")
    parser.add_argument("--steps", help="comma-separated; default: all")
    parser.add_argument(
        "--kill",
        type=Fault.of,
        nargs="+",
        default=(),
        metavar="VICTIM[/PHASE[/SECONDS]]",
        help="what is killed, in the order of the phases, and how long after the phase was seen to have begun; "
        f"phases: {', '.join(PHASES)} (default: compare/1)",
    )
    parser.add_argument(
        "--reference", help="folder of an undisturbed run to compare with; made if it is not there"
    )
    parser.add_argument("--joined", action="store_true", help="trigger a second run while the first one runs")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write what was seen as JSON")
    parser.add_argument("--gpu-workers", type=int, default=2, metavar="N")
    parser.add_argument("--dask-workers", type=int, default=2, metavar="N")
    parser.add_argument("--timeout", type=float, default=900.0, metavar="SECONDS")
    parser.add_argument(
        "--poll", type=float, metavar="SECONDS", help="how often workers and the check ask the server"
    )
    return parser


def _reference(sweep: str, folder: str) -> str:
    """Return the digest of an undisturbed run in a folder; where there is none, the sweep is run there first."""
    place = RunPlace.at(Path(folder).resolve())
    if place.findings() is None:
        _say(f"an undisturbed run first, in {place.url}")
        command = [sys.executable, "-m", "stitchpipe.cli", "run", sweep, "--out", place.url]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program
    return digest_of(place)[1]


def _tell(report: LoopbackReport) -> None:
    _say(f"{report.name}: {' -> '.join(report.states)}, started {report.late_s:.1f} s from when it was due")
    _say(f"runs in the GPU pool: {', '.join(report.gpu_runs) or 'none'}")
    if report.struck:
        _say(f"killed {'; '.join(report.struck)}: {report.triggers} trigger(s) until it was complete")
        again = ", ".join(report.done_again) or "none"
        _say(f"of {report.done_before} units that were done before, done again: {again}")
    _say(
        f"{report.seconds:.0f} s; {report.place}: {report.numbers} numbers, digest {report.digest[:16]}, a page"
    )
    for part, usage in report.parts.items():
        _say(
            f"{part}: {usage.processor_s:.1f} processor seconds, the largest process {usage.largest_mib} MiB"
        )
    _say(f"Prefect's share of the processor time, the S3 server left out: {prefects_share(report.parts):.1%}")


def _say(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {line}\n")
    sys.stdout.flush()


def _exit(signum: int, _frame: FrameType | None) -> NoReturn:
    """Leave through the blocks that stop the processes."""
    raise SystemExit(128 + signum)


if __name__ == "__main__":
    raise SystemExit(main())
