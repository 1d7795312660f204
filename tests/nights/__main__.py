"""``python -m tests.nights --seeds 0-4999 d0-d4999``: nights by their seeds; exit code 1 if any ends badly.

Nights of numbers happen in a bucket, those of numbers behind a ``d`` on a disk. One seed alone
prints the log of its operations where it ends badly, or with ``--log``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time

from tests.nights.night import hush, night

EVERY = 50
"""After how many nights a line says how far it is."""
REPLAY = "python -m tests.nights --log --seeds"


def seeds_of(text):
    first, _, last = text.partition("-")
    kind = "d" if first.startswith("d") else ""
    numbers = [int(each.removeprefix(kind)) for each in (first, last or first)]
    return [f"{kind}{number}" for number in range(numbers[0], numbers[1] + 1)]


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tests.nights", description=__doc__)
    parser.add_argument("--seeds", type=seeds_of, nargs="+", default=[["0"]], metavar="FIRST-LAST")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--log", action="store_true", help="print the operations of each night")
    asked = parser.parse_args(arguments)
    seeds = [seed for each in asked.seeds for seed in each]
    begun_s, bad, operations, kills, cuts = time.monotonic(), [], 0, 0, 0
    with multiprocessing.get_context("spawn").Pool(asked.processes, hush) as pool:
        for count, found in enumerate(pool.imap(night, seeds, chunksize=1), 1):
            operations, kills, cuts = operations + found.operations, kills + found.kills, cuts + found.cuts
            if asked.log or (found.problems and len(seeds) == 1):
                print("\n".join(found.told()))
            if found.problems:
                bad.append(found.seed)
                print(f"seed {found.seed}: {found.problems[0]}\n  again: {REPLAY} {found.seed}", flush=True)
            if count % EVERY == 0 or count == len(seeds):
                told = f"{count} of {len(seeds)} nights, {len(bad)} bad, {operations} operations"
                print(f"{told}, {kills} kills, {cuts} cuts, {time.monotonic() - begun_s:.0f} s", flush=True)
        pool.close()
        pool.join()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{(used.ru_utime + used.ru_stime) / len(seeds):.2f} CPU s a night")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
