"""Commands that keep a run and its store well."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from stitchpipe.cli.app import DAMAGED, RunAddress, StorePlace, app, say
from stitchpipe.sizes import size_of


@app.command
def verify(
    place: StorePlace,
    /,
    *,
    sample: Annotated[str, Parameter(help="Share of the chunks to read, such as 10%.")] = "100%",
    model: Annotated[str | None, Parameter(help="Only this model's dumps.")] = None,
) -> None:
    """Check every byte of a run against what was recorded when it was written: its store, and the files beside it.

    Exit code 0 and one line with totals where it is sound; otherwise 1 and a table of what is wrong. With
    --sample 10% a tenth of the store's chunks is read; sizes, records, indices and the run's own files are checked
    in any case. What is damaged is mended with `stitchpipe repair`.
    """
    from stitchpipe.cli import tables
    from stitchpipe.cli.terminal import Progress
    from stitchpipe.steps import maintenance

    with Progress() as progress:
        verdict = maintenance.verify(place, model=model, sample=sample, progress=progress)
    summaries = f"{verdict.summaries} summaries, " if verdict.summaries else ""
    files = f"{verdict.files} files, " if verdict.files else ""
    read = f"{verdict.shards} shards, {summaries}{files}{size_of(verdict.n_bytes)}"
    if not verdict.problems:
        what = "sound" if maintenance.share_of(sample) == 1 else f"sound in a sample of {sample}"
        say(f"{what}: {verdict.representations} representations, {read}")
        if not verdict.misses_nothing:
            say(
                "No inventory was taken yet: what somebody removed is not missed before a report was written."
            )
        return
    say(tables.problems(verdict.problems, f"{len(verdict.problems)} problems ({read} looked at)"))
    sys.exit(DAMAGED)


@app.command
def repair(
    place: StorePlace,
    /,
    *,
    sweep: Annotated[
        str | None, Parameter(help="Sweep to dump again by; default: the one the run's folder kept.")
    ] = None,
    dry_run: Annotated[bool, Parameter(help="Only show what is wrong; change nothing.", negative="")] = False,
) -> None:
    """Mend a damaged run or store: quarantine bad files, make again what follows from sound ones, dump the rest again.

    Nothing is deleted: what is taken out lies below commits/quarantine. Of damaged layers only the damaged row
    groups are computed; damaged weights, maps and results are made again by the next `stitchpipe run`. Let no other
    process write meanwhile. Cut short, run it again.
    """
    from stitchpipe.cli import tables
    from stitchpipe.cli.terminal import Progress
    from stitchpipe.steps import maintenance

    with Progress() as progress:
        if dry_run:
            problems = maintenance.verify(place, model=None, sample="100%", progress=progress).problems
            say(tables.problems(problems, "Would be repaired") if problems else "Nothing to repair.")
            return
        done = maintenance.repair(place, progress=progress)
        rest = done.redo
        if rest:  # running networks takes torch, which takes seconds to load
            from stitchpipe.steps.redumping import dump_again

            rest = dump_again(place, done.redo, sweep=sweep, progress=progress)
    say(
        f"{len(done.problems)} problems, {done.n_quarantined} files quarantined, {done.n_restored} made "
        f"again, {len(done.redo) - len(rest)} of {len(done.redo)} layers dumped again"
    )
    if done.files is not None and done.files.quarantined:
        say("Files of the run were taken out: `stitchpipe run` makes them again")
    if done.summaries:
        say(f"{len(done.summaries)} damaged summaries removed: the next comparison computes them again")
    if rest:
        say(tables.redo(rest, "To be dumped again: stitchpipe dump SWEEP --out RUN, or --sweep FILE here"))
    if done.left:
        say(tables.problems(done.left, "Cannot be repaired"))
    if rest or done.left:
        sys.exit(DAMAGED)


@app.command
def gc(
    place: StorePlace,
    /,
    *,
    yes: Annotated[bool, Parameter(help="Remove; without it only shown.", negative="")] = False,
    older_than: Annotated[
        str, Parameter(help="Leave alone what was modified since: 90s, 12h, 1d, 2w.")
    ] = "1d",
    quarantine: Annotated[bool, Parameter(help="Also what repairs took out.", negative="")] = False,
) -> None:
    """Show what was never committed and nobody works on any more; remove it with --yes.

    Unfinished files, interrupted dumps, summaries of unfinished work, leftovers of evictions. Splits, sealed
    activations, other summaries and what a repair keeps for the next dump always stay. A dump counts as abandoned
    when none of its files changed for --older-than.
    """
    from stitchpipe.cli import tables
    from stitchpipe.steps import maintenance

    leftovers = maintenance.garbage(place, older_than=older_than)
    view = tables.garbage(leftovers)
    if view.row_count == 0:
        say("Nothing to collect.")
        return
    say(view)
    if yes:
        say(f"{size_of(leftovers.remove(quarantined=quarantine))} removed")
    else:
        say(f"{size_of(leftovers.n_bytes)}; nothing was removed: that takes --yes")


@app.command
def compact(place: RunAddress, /) -> None:
    """Merge the parts of a run's results into few sorted files, which questions read faster.

    Nothing is lost wherever it is cut short, and others may read and write meanwhile. A comparison does it by itself
    when it has left many parts.
    """
    from stitchpipe.run.place import RunPlace

    done = RunPlace.at(place).results.compact()
    if done is None:
        say("Nothing to merge.")
        return
    again = (
        f", {done.rows_before - done.rows} of which were there twice" if done.rows < done.rows_before else ""
    )
    say(f"{done.rows_before} numbers{again}: {done.files_before} files became {done.files}")


@app.command
def evict(
    place: StorePlace,
    address: Annotated[str, Parameter(help="MODEL, or MODEL/LAYER.")],
    /,
    *,
    split: Annotated[str | None, Parameter(help="Only this split.")] = None,
    yes: Annotated[bool, Parameter(help="Remove; without it only shown.", negative="")] = False,
) -> None:
    """Give up stored activations to make room; results, fitted maps and manifests stay.

    Shows what would go, and how much; removes with --yes. `stitchpipe dump` brings it back: the same network
    computes the evicted layers again.
    """
    from stitchpipe.steps import evicting

    chosen = evicting.to_evict(place, address, split=split)
    for one in chosen:
        say(f"{one.address.label(one.fingerprint)}: {size_of(one.n_bytes)}")
    total = size_of(sum(one.n_bytes for one in chosen))
    if yes:
        say(f"{total}: {len(evicting.evict(place, chosen))} representations evicted")
    else:
        say(f"{total}; nothing was removed: that takes --yes")
