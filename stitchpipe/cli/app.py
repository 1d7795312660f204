"""The command line: thin. Heavy libraries are imported by the command that needs them.

Every command is a function of one of the modules beside this one; what is said here is shared by them.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from cyclopts import App, Parameter

from stitchpipe import __version__
from stitchpipe.errors import ExplainedError
from stitchpipe.steps import UnitsFailedError

if TYPE_CHECKING:
    import pandas as pd

DAMAGED, USER_MISTAKE, UNITS_FAILED, INTERRUPTED = 1, 2, 3, 130

app = App(
    name="stitchpipe",
    suppress_keyboard_interrupt=False,  # main() says how to go on
    version=__version__,
    help="Compare neural representations: dump activations once, then compare, stitch and query them.\n\n"
    "Start with `stitchpipe quickstart`; it needs no data, weights, GPU or server.",
)

SweepFile = Annotated[str, Parameter(help="A sweep file (TOML), or the name of a shipped sweep: quickstart.")]
Out = Annotated[
    str | None,
    Parameter(name="--out", help="Folder of the run, or an s3:// URL; default: runs/ and the sweep's name."),
]
Only = Annotated[
    tuple[str, ...],
    Parameter(
        name="--only",
        help="Glob over names of models, any number of times: nothing else takes part. The numbers have the keys that "
        "they have in the whole, but under certainty.family = 'run', where they are kept beside the whole's. The page "
        "shows the part until the whole is reported again.",
    ),
]
Limit = Annotated[
    int | None, Parameter(name="--limit", help="At most so many networks, the first ones of these.")
]
RunAddress = Annotated[str, Parameter(name="RUN", help="Folder of a run, or its s3:// URL.")]
StorePlace = Annotated[
    str, Parameter(name="RUN", help="Folder of a run, or a store itself: a path or an s3:// URL.")
]
Scheduler = Annotated[
    str | None,
    Parameter(
        name="--scheduler", help="Address of a Dask scheduler, tcp://host:port; default: local processes."
    ),
]

RetryFailed = Annotated[
    bool,
    Parameter(
        name="--retry-failed",
        negative=(),
        help="Try again what failed by itself before; else only what may pass is.",
    ),
]


def main() -> NoReturn:
    """Run the command line; a user's mistake is one message and a non-zero exit code, never a traceback."""
    # Idle threads sleep instead of spinning: on cores shared with others that made training six times faster.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except UnitsFailedError as error:
        _complain(str(error), UNITS_FAILED)
    except ExplainedError as error:
        _complain(str(error), USER_MISTAKE)
    except KeyboardInterrupt as stop:
        _complain(str(stop) or "Interrupted.", getattr(stop, "exit_code", INTERRUPTED))
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    sys.exit(0)


def say(*what: Any) -> None:
    """Print tables and texts."""
    from rich.console import Console

    for part in what:
        Console().print(part, crop=False)  # tables fit the terminal; a declaration must not lose its ends


def say_frame(frame: pd.DataFrame) -> None:
    """Print a query's answer: a table on a terminal, tab-separated values into a pipe."""
    if sys.stdout.isatty():
        from stitchpipe.cli.tables import table

        say(table(frame))
    else:
        frame.to_csv(sys.stdout, sep="\t", index=False)


def _complain(message: str, code: int) -> NoReturn:
    sys.stderr.write(f"stitchpipe: {message}\n")
    sys.exit(code)
