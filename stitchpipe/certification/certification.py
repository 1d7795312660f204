"""A certification: blocks are committed as they come, and one that was cut short goes on with the blocks it lacks."""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Final

from threadpoolctl import threadpool_limits

from stitchpipe.certification.blocks import Block
from stitchpipe.certification.cells import BLOCK, Cell
from stitchpipe.certification.cost import left_s
from stitchpipe.certification.intervals import IntervalTrial, Limits, indices_with_intervals
from stitchpipe.certification.null_zoos import NullTrial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from stitchpipe.certification.cells import Scope
    from storage import CheckedFiles

FOLDER: Final = "certification"


@dataclass(frozen=True, slots=True)
class Progress:
    """How many blocks are done, of how many, and about how many processor seconds are left."""

    done: int
    blocks: int
    left_s: float


def certify(
    files: CheckedFiles,
    scope: Scope,
    report: Callable[[Block, Progress], None],
    *,
    limit_s: float | None = None,
    processes: int = 1,
) -> None:
    """Simulate all blocks of a scope that are not in `files` yet, and leave each there as it is done.

    Parameters
    ----------
    report
        Called with each new block, and how far the scope is.
    limit_s
        After so many seconds no block is begun any more.
    processes
        Blocks at once, each on one thread.
    """
    known = {(block.cell, block.number): block for block in taken(files, scope.seed)}
    limits = {block.cell: block.limits for block in known.values()}
    every = list(scope.blocks())
    missing = dict.fromkeys(both for both in every if both not in known)
    until = float("inf") if limit_s is None else time.monotonic() + limit_s
    # What intervals are held against is looked up as a block is begun: the first one of its cell has formed it.
    begun = ((*both, limits.get(both[0])) for both in list(missing))
    for block in _worked(begun, scope.seed, processes, until):
        files.put_record(_name(block), block.to_dict())
        at = block.cell, block.number
        known[at] = block
        limits[block.cell] = block.limits
        del missing[at]
        report(block, Progress(len(every) - len(missing), len(every), left_s(missing, list(known.values()))))


def progress(files: CheckedFiles, scope: Scope) -> Progress:
    """Return how far a scope is, and about what is left: what there is to say before a certification begins."""
    blocks = taken(files, scope.seed)
    known = {(block.cell, block.number) for block in blocks}
    every = list(scope.blocks())
    missing = [both for both in every if both not in known]
    return Progress(len(every) - len(missing), len(every), left_s(missing, blocks))


def taken(files: CheckedFiles, seed: int) -> list[Block]:
    """Return the blocks of a seed that are there; those of another version are left out."""
    records = files.records(f"{FOLDER}/seed{seed}")
    found = (Block.from_dict(record) for _, record in sorted(records.items()))
    return [block for block in found if block is not None]


def _name(block: Block) -> str:
    return f"{FOLDER}/seed{block.seed}/{block.cell.name}/{block.number}"


def _worked(
    missing: Iterator[tuple[Cell, int, Mapping[str, Any] | None]], seed: int, processes: int, until: float
) -> Iterator[Block]:
    """Yield blocks as they are done, in this process or in several."""
    if processes == 1:
        for cell, number, limits in missing:
            if time.monotonic() > until:
                return
            yield work(cell, number, seed, limits)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        running = {
            pool.submit(work, cell, number, seed, limits)
            for cell, number, limits in islice(missing, processes)
        }
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
                if time.monotonic() < until:
                    running |= {
                        pool.submit(work, cell, number, seed, limits)
                        for cell, number, limits in islice(missing, 1)
                    }


def work(cell: Cell, number: int, seed: int, limits: Mapping[str, Any] | None) -> Block:
    """Return one block, worked on one thread; what its intervals are held against is formed where it is not given."""
    begun = time.process_time()
    with threadpool_limits(limits=1):
        if cell.kind == "nulls":
            held_against: Mapping[str, Any] = {}
            counts = NullTrial(cell, seed).block(number, BLOCK)
        else:
            trial = IntervalTrial(cell, seed)
            held_against = limits or trial.limits().record()
            names = [index.name for index in indices_with_intervals()]
            counts = trial.block(number, BLOCK, Limits.from_record(held_against, names))
    return Block(cell, seed, number, counts, held_against, round(time.process_time() - begun, 2))
