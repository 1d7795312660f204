"""The command line: thin. Heavy libraries are imported by the command that needs them."""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

from cyclopts import App, Parameter

from stitchpipe import __version__
from stitchpipe.config import ConfigError, load, sweep_schema_json
from stitchpipe.errors import ExplainedError, first_line
from stitchpipe.sizes import size_of
from stitchpipe.wholefile import write_whole
from storage import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

DAMAGED, USER_MISTAKE, INTERRUPTED = 1, 2, 130

app = App(
    name="stitchpipe",
    suppress_keyboard_interrupt=False,  # main() says how to go on
    version=__version__,
    help="Compare neural representations: dump activations once, then compare, stitch and query them.\n\n"
    "Start with `stitchpipe quickstart`; it needs no data, weights, GPU or server.",
)

SweepFile = Annotated[str, Parameter(help="A sweep file (TOML), or the name of a shipped sweep: quickstart.")]
Out = Annotated[
    Path | None, Parameter(name="--out", help="Folder of the run; default: runs/ and the sweep's name.")
]
RunFolder = Annotated[Path, Parameter(help="Folder of a run.")]
StorePlace = Annotated[
    str, Parameter(name="DIR", help="Folder of a run, or a store itself: a path or an s3:// URL.")
]
Scheduler = Annotated[
    str | None,
    Parameter(
        name="--scheduler", help="Address of a Dask scheduler, tcp://host:port; default: local processes."
    ),
]


@app.command
def quickstart(*, out: Out = None, scheduler: Scheduler = None) -> None:
    """Run the whole pipeline on bundled data: three small networks on handwritten digits.

    Trains the networks, dumps their activations, compares all pairs of layers, stitches, checks how far out
    of distribution the stitched representations are, and writes a report. Takes a few minutes on two cores;
    interrupted, it goes on where it was; finished, it only shows what is there.
    """
    _run("quickstart", out, scheduler=scheduler)


@app.command
def run(sweep: SweepFile, *, out: Out = None, scheduler: Scheduler = None) -> None:
    """Run every step of a sweep: train, dump, compare, stitch, report. What is there already is kept."""
    _run(sweep, out, scheduler=scheduler)


@app.command
def dump(
    sweep: SweepFile,
    *,
    out: Out = None,
    part: Annotated[
        str, Parameter(name="--part", help="K/N: the K-th of N parts, for N processes that share a dump.")
    ] = "1/1",
) -> None:
    """Train or load the models and write their activations to the store.

    One forward pass for all layers; what is sealed is skipped, what was interrupted goes on. With --part, several
    GPUs or machines write disjoint shards of the same dump; whoever is last seals it.
    """
    _run(sweep, out, steps=("train", "dump"), part=part)


@app.command
def compare(sweep: SweepFile, *, out: Out = None, scheduler: Scheduler = None) -> None:
    """Compute the indices of all pairs of layers from a dumped store."""
    _run(sweep, out, steps=("compare",), scheduler=scheduler)


@app.command
def stitch(sweep: SweepFile, *, out: Out = None, scheduler: Scheduler = None) -> None:
    """Make the declared stitches from a dumped store and judge them: accuracy, and how far out of distribution."""
    _run(sweep, out, steps=("stitch",), scheduler=scheduler)


@app.command
def report(sweep: SweepFile, *, out: Out = None) -> None:
    """Write the page and its figures from the results that are there."""
    _run(sweep, out, steps=("report",))


@app.command
def plan(sweep: SweepFile, *, out: Out = None) -> None:
    """Print the sweep with its defaults, and what it would read, form, hold and train. Runs nothing."""
    from stitchpipe.sweep.planning import describe

    declared = load(sweep)
    _print(describe(declared, _folder(declared.name, out)))


@app.command
def ingest(  # noqa: PLR0913 - one option per thing to say
    folder: Annotated[
        str, Parameter(help="A run's folder (made if it is not there), or a store's path or URL.")
    ],
    /,
    *files: Annotated[Path, Parameter(help="*.npy, *.npz, *.safetensors, *.parquet: the same rows in each.")],
    dataset: Annotated[str, Parameter(help="Name of the data set in the store.")],
    split: Annotated[str, Parameter(help="Name of the split: test, train, …")],
    model: Annotated[str, Parameter(help="Name of the model whose layers these are.")],
    layer: Annotated[
        str | None, Parameter(help="Name of the layer, where the files hold a single array.")
    ] = None,
    only: Annotated[
        tuple[str, ...], Parameter(help="Globs over names of arrays: which are layers.", negative="")
    ] = (),
    ids: Annotated[
        str | None,
        Parameter(
            help="Array, column or text file with the sample ids, or `range`; default: the array `ids`."
        ),
    ] = None,
    labels: Annotated[
        str | None, Parameter(help="Array, column or text file with the labels; default: `labels`, if any.")
    ] = None,
    dtype: Annotated[Literal["float16", "float32"] | None, Parameter(help="How values are stored.")] = None,
    channels_last: Annotated[bool, Parameter(help="Images are (n, H, W, C).", negative="")] = False,
    row_groups: Annotated[int, Parameter(help="Of a split that is new.")] = 20,
) -> None:
    """Put activations that you already have into a store: sealed, checked, and comparable like dumped ones.

    For example, activations of a language model, one array per layer, (samples, tokens, features):

    `np.savez("acts.npz", layer0=X0, layer1=X1, ids=sample_ids)`

    `stitchpipe ingest runs/mine acts.npz --dataset text --split test --model gpt`

    Rows of two models are paired by sample id, in whatever order they come. The same content again changes
    nothing; interrupted, the same command goes on. NaN and infinity are refused before anything is written.
    """
    from stitchpipe.ingest import ingest_files
    from stitchpipe.terminal import Progress

    with Progress() as progress:
        done = ingest_files(
            folder,
            files,
            dataset=dataset,
            split=split,
            model=model,
            layer=layer,
            only=only,
            ids=ids,
            labels=labels,
            dtype=dtype,
            channels_last=channels_last,
            row_groups=row_groups,
            report=progress,
        )
    _print(
        f"{len(done.layers)} layer{'s' * (len(done.layers) != 1)} of {done.n_samples} samples in {done.store} "
        f"({done.row_groups_written} of {done.row_groups} row groups written now)"
    )


@app.command(name="ls")
def ls(folder: RunFolder) -> None:
    """List the representations of a run's store, evicted ones too, with their size on the disk."""
    from stitchpipe.listing import representations
    from stitchpipe.workspace import open_workspace

    _print(representations(open_workspace(folder)))


@app.command
def show(
    folder: RunFolder, address: Annotated[str | None, Parameter(help="MODEL, or MODEL/LAYER.")] = None, /
) -> None:
    """Show what is known of a run, one of its models, or one layer: sizes, digests, provenance."""
    from stitchpipe.listing import details
    from stitchpipe.workspace import open_workspace

    _print(details(open_workspace(folder), address))


@app.command
def query(
    folder: RunFolder, sql: Annotated[str, Parameter(help='One SELECT over the table "results".')], /
) -> None:
    """Answer one SQL query over the results, read-only: stitchpipe query runs/quickstart "SELECT …"."""
    from stitchpipe.results import Catalogue

    _print_frame(Catalogue(folder / "results").query(sql))


@app.command
def schema(
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], help="Write it to this file.")] = None,
) -> None:
    """Print the JSON schema of sweep files, by which editors complete and check them.

    `stitchpipe schema --output sweep.schema.json`

    Then begin a sweep file beside it with the line

    `#:schema ./sweep.schema.json`

    Taplo reads it, the language server of TOML that "Even Better TOML" brings to VS Code. The schema knows every table,
    key and value; what depends on several tables at once, `stitchpipe plan` finds out.
    """
    if output is None:
        sys.stdout.write(sweep_schema_json())
        return
    try:
        write_whole(output, sweep_schema_json().encode())
    except OSError as error:
        raise ConfigError(
            where=f"--output {output}",
            expected="a file that can be written",
            found=error.strerror or first_line(error),
            remedy="Name another place.",
        ) from None
    _print(f"Written. Sweeps beside it that begin with `#:schema ./{output.name}` are completed by editors.")


@app.command
def indices(
    names: Annotated[
        tuple[str, ...], Parameter(name="NAME", help="Only these, in full.", show_default=False)
    ] = (),
    /,
    *,
    json: Annotated[bool, Parameter(help="As JSON, for programs.", negative="", show_default=False)] = False,
) -> None:
    """List the indices of similarity: what each is unchanged by, its range, what it is computed from, its source.

    A table of all of them; with NAMEs, what each means and how to read it. These names stand in a sweep's [[compare]]
    and in `stitchpipe.compare`; some take a number in parentheses: `gulp(0.1)`, `dm_low_rank_r2(4)`.

    Which to begin with: `cka` (debiased, pooled), `procrustes_angle` where a metric is needed, `dm_r2` for whether the
    target can be had from the source by a linear map.
    """
    from stitchpipe import index_listing

    chosen = index_listing.described(names)
    if json:
        sys.stdout.write(index_listing.as_json(chosen) + "\n")
    elif names:
        _print(*map(index_listing.details, chosen))
    else:
        _print(index_listing.listing(chosen))


@app.command
def layers(
    model: Annotated[
        str,
        Parameter(
            name="MODEL", help="resnet18, timm/NAME, hf/TYPE, …; or a model of a sweep: SWEEP.toml:NAME."
        ),
    ],
    /,
    *,
    options: Annotated[
        tuple[str, ...],
        Parameter(
            name="--options", help="KEY=VALUE: an argument of the architecture; once for each.", negative=""
        ),
    ] = (),
    weights: Annotated[Path | None, Parameter(help="Checkpoint to check against the architecture.")] = None,
    size: Annotated[
        str | None, Parameter(help="Of the images, 64 or 64x96; default: what the network declares, or 224.")
    ] = None,
    cuts: Annotated[bool, Parameter(help="Only layers that can be stitched into.", negative="")] = False,
    nodes: Annotated[
        bool, Parameter(help="Functions inside modules too, such as layer1.0.add.", negative="")
    ] = False,
    json: Annotated[bool, Parameter(help="As JSON, for programs.", negative="", show_default=False)] = False,
) -> None:
    """List the layers of a network: names, shapes, and where it can be cut, so that others can be stitched into it.

    `stitchpipe layers resnet18`

    `stitchpipe layers vit_b_16 --options image_size=64 --size 64 --cuts`

    `stitchpipe layers quickstart:A`

    The names stand in a sweep's `layers`, `sources` and `targets`, as globs. A second call of a module is NAME:1. A
    layer beside which a residual passes is no cut: it can be a source of stitches, not their target. Networks that
    torch.fx cannot trace are listed by hooks, and the list says so.
    """
    from stitchpipe import layer_listing

    found = layer_listing.described(model, options=options, weights=weights, size=size, nodes=nodes)
    found = layer_listing.only_cuts(found) if cuts else found
    if json:
        sys.stdout.write(layer_listing.as_json(found) + "\n")
    else:
        _print(layer_listing.listing(found))


@app.command
def verify(
    place: StorePlace,
    /,
    *,
    sample: Annotated[str, Parameter(help="Share of the chunks to read, such as 10%.")] = "100%",
    model: Annotated[str | None, Parameter(help="Only this model's dumps.")] = None,
) -> None:
    """Check every committed byte of a store against its records.

    Exit code 0 and one line with totals where it is sound; otherwise 1 and a table of what is wrong. With
    --sample 10% a tenth of the chunks is read; sizes, records and indices are checked in any case. A damaged
    store is mended with `stitchpipe repair`.
    """
    from stitchpipe import listing, upkeep
    from stitchpipe.terminal import Progress

    with Progress() as progress:
        verdict = upkeep.verify(place, model=model, sample=sample, progress=progress)
    summaries = f"{verdict.summaries} summaries, " if verdict.summaries else ""
    read = f"{verdict.shards} shards, {summaries}{size_of(verdict.n_bytes)}"
    if not verdict.problems:
        what = "sound" if upkeep.share_of(sample) == 1 else f"sound in a sample of {sample}"
        _print(f"{what}: {verdict.representations} representations, {read}")
        return
    _print(listing.problems(verdict.problems, f"{len(verdict.problems)} problems ({read} looked at)"))
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
    """Mend a damaged store: quarantine bad files, make again what follows from sound ones, dump the rest again.

    Nothing is deleted: what is taken out lies below commits/quarantine. Of damaged layers only the damaged row
    groups are computed. Let no other process write meanwhile. Cut short, run it again.
    """
    from stitchpipe import listing, upkeep
    from stitchpipe.terminal import Progress

    with Progress() as progress:
        if dry_run:
            found = upkeep.verify(place, model=None, sample="100%", progress=progress).problems
            _print(listing.problems(found, "Would be repaired") if found else "Nothing to repair.")
            return
        done = upkeep.repair(place, progress=progress)
        rest = upkeep.dump_again(place, done.redo, sweep=sweep, progress=progress)
    _print(
        f"{len(done.problems)} problems, {len(done.quarantined)} files quarantined, {len(done.restored)} made "
        f"again, {len(done.redo) - len(rest)} of {len(done.redo)} layers dumped again"
    )
    if done.summaries:
        _print(f"{len(done.summaries)} damaged summaries removed: the next comparison computes them again")
    if rest:
        _print(
            listing.redo(rest, "To be dumped again: stitchpipe dump SWEEP --out RUN, or --sweep FILE here")
        )
    if done.left:
        _print(listing.problems(done.left, "Cannot be repaired"))
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
    from stitchpipe import listing, upkeep

    found = upkeep.garbage(place, older_than=older_than)
    view = listing.garbage(found)
    if view.row_count == 0:
        _print("Nothing to collect.")
        return
    _print(view)
    if yes:
        _print(f"{size_of(found.remove(quarantined=quarantine))} removed")
    else:
        _print(f"{size_of(found.n_bytes)}; nothing was removed: that takes --yes")


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
    from stitchpipe import upkeep

    chosen = upkeep.to_evict(place, address, split=split)
    for one in chosen:
        _print(f"{one.address.label(one.fingerprint)}: {size_of(one.n_bytes)}")
    total = size_of(sum(one.n_bytes for one in chosen))
    if yes:
        _print(f"{total}: {len(upkeep.evict(place, chosen))} representations evicted")
    else:
        _print(f"{total}; nothing was removed: that takes --yes")


def main() -> NoReturn:
    """Run the command line; a user's mistake is one message and a non-zero exit code, never a traceback."""
    # Idle threads sleep instead of spinning: on cores shared with others that made training six times faster.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except (ExplainedError, StoreError) as error:
        _complain(str(error), USER_MISTAKE)
    except KeyboardInterrupt as stop:
        _complain(str(stop) or "Interrupted.", getattr(stop, "exit_code", INTERRUPTED))
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    sys.exit(0)


def _run(
    sweep: str,
    out: Path | None,
    *,
    steps: Sequence[str] = ("train", "dump", "compare", "stitch", "report"),
    scheduler: str | None = None,
    part: str = "1/1",
) -> None:
    from stitchpipe.sweep import Folder, check, demand_room, parse_part
    from stitchpipe.terminal import Progress, summary, times

    declared = load(sweep)
    folder = _folder(declared.name, out)
    parse_part(part)
    check(declared, steps, Folder(folder))
    if "dump" in steps:
        demand_room(declared, Folder(folder))
    with Progress() as progress:
        _runner()(sweep, folder, steps=steps, scheduler=scheduler, progress=progress, part=part)
    _print(*([summary(folder)] if "report" in steps else []), times(folder))


def _runner() -> Any:
    """Return what runs a sweep: an entry point, so that this package never imports the flows."""
    found = entry_points(group="stitchpipe.runners", name="prefect")
    if not found:
        raise ConfigError(
            where="this installation",
            expected="the runner 'prefect' (entry point group stitchpipe.runners)",
            found="none",
            remedy="Install the project with `pip install .` (or `make install`).",
        )
    return next(iter(found)).load()


def _folder(name: str, out: Path | None) -> Path:
    folder = (Path("runs") / name if out is None else out).absolute()
    if folder.exists() and not folder.is_dir():
        raise ConfigError(
            where="--out", expected="a folder", found=f"the file {folder}", remedy="Name another place."
        )
    return folder


def _print(*what: Any) -> None:
    from rich.console import Console

    for part in what:
        Console().print(part, crop=False)  # tables fit the terminal; a declaration must not lose its ends


def _print_frame(frame: pd.DataFrame) -> None:
    """Print a query's answer: a table on a terminal, tab-separated values into a pipe."""
    if sys.stdout.isatty():
        from stitchpipe.listing import table

        _print(table(frame))
    else:
        frame.to_csv(sys.stdout, sep="\t", index=False)


def _complain(message: str, code: int) -> NoReturn:
    sys.stderr.write(f"stitchpipe: {message}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
