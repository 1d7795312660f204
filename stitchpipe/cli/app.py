"""The command line: thin. Heavy libraries are imported by the command that needs them.

Every command is a function of one of the modules beside this one; what is said here is shared by them.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, NoReturn

from cyclopts import App, Parameter

from stitchpipe import __version__
from stitchpipe.errors import ExplainedError
from stitchpipe.steps.failures import UnitsFailedError

DAMAGED, USER_MISTAKE, UNITS_FAILED, INTERRUPTED = 1, 2, 3, 130

app = App(
    name="stitchpipe",
    suppress_keyboard_interrupt=False,  # main() says how to go on
    version=__version__,
    help="Compare neural representations: dump activations once, then compare, stitch and query them.\n\n"
    "Start with `stitchpipe quickstart`; it needs no data, weights, GPU or server.",
)

RunAddress = Annotated[str, Parameter(name="RUN", help="Folder of a run, or its s3:// URL.")]
StorePlace = Annotated[
    str, Parameter(name="RUN", help="Folder of a run, or a store itself: a path or an s3:// URL.")
]


def main() -> NoReturn:
    """Run the command line; a user's mistake is one message and a non-zero exit code, never a traceback."""
    # Idle threads sleep instead of spinning: on cores shared with others that made training six times faster.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app(error_formatter=_misuse)
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
    from rich.text import Text

    from stitchpipe.cli.console import SafeConsole

    for part in what:
        # A text is no markup: square brackets in a path are square brackets.
        shown = Text(part) if isinstance(part, str) else part
        SafeConsole().print(
            shown, crop=False
        )  # tables fit the terminal; a declaration must not lose its ends


def _misuse(error: Exception) -> Any:
    """Return what is said of arguments that are no command's: a line, in which nothing commands the terminal."""
    from rich.text import Text

    from stitchpipe.cli.console import visible

    return Text(f"stitchpipe: {visible(str(error))}")


def _complain(message: str, code: int) -> NoReturn:
    from stitchpipe.cli.console import visible

    sys.stderr.write(f"stitchpipe: {visible(message)}\n")
    sys.exit(code)
