"""Commands that show a run's page: in a browser, from the disk or through a server of this machine."""

from __future__ import annotations

import os
import sys
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from stitchpipe.cli.app import RunAddress, app, say
from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    from stitchpipe.run.place import RunPlace


class PageError(ExplainedError, ValueError):
    """There is no page to show, or no way to show it."""


@app.command(name="open")
def open_page(place: RunAddress, /) -> None:
    """Open a run's page in the browser; where there is none, say where the page lies.

    The page of a run in a bucket is copied into a temporary folder first. A run too large for one file is shown by
    `stitchpipe serve`.
    """
    import tempfile

    from stitchpipe.run.file_names import REPORT
    from stitchpipe.run.place import RunPlace

    run = RunPlace.at(place)
    page = _page(run)
    if run.is_folder:
        path = Path(run.url, REPORT, "index.html")
    else:
        path = Path(tempfile.mkdtemp(prefix="stitchpipe-page-"), "index.html")
        path.write_bytes(page)
    if b'"embedded":false' in page:
        say(f"This run is too large for one file; single pairs are shown by: stitchpipe serve {place}")
    if not _shown(path.as_uri()):
        say(str(path))


@app.command
def serve(
    place: RunAddress,
    /,
    *,
    port: Annotated[int, Parameter(help="Where to listen on 127.0.0.1; 0: any port that is free.")] = 0,
    no_open: Annotated[bool, Parameter(name="--no-open", help="Open no browser.", negative="")] = False,
) -> None:
    """Serve a run's page on this machine alone, read-only, until Ctrl-C.

    It is the page of `stitchpipe report`. Of runs too large for one file it fetches the values that it shows, block by
    block.
    """
    from functools import partial

    from stitchpipe.report.server import PageServer
    from stitchpipe.run.file_names import REPORT
    from stitchpipe.run.place import RunPlace
    from storage import NotFoundError

    run = RunPlace.at(place)
    _page(run)
    try:
        server = PageServer(partial(run.files.read_published, REPORT), NotFoundError, port=port)
    except OSError as error:
        raise PageError(
            where=f"--port {port}",
            expected="a port that is free",
            found=error.strerror or type(error).__name__,
            remedy="Choose another, or none: any free port is taken then.",
        ) from None
    with server:
        say(f"{server.url} (Ctrl-C ends it)")
        sys.stdout.flush()
        if not no_open:
            _shown(server.url)
        # Ctrl-C is how it ends, and no mistake.
        with suppress(KeyboardInterrupt):
            server.serve_forever()


def _page(run: RunPlace) -> bytes:
    """Return the page of a run; PageError where there is none."""
    from stitchpipe.run.file_names import REPORT
    from storage import NotFoundError

    try:
        return run.files.read_published(REPORT, "index.html")
    except NotFoundError:
        raise PageError(
            where=run.url,
            expected="a run with a page",
            found="none",
            remedy="Check the place; `stitchpipe report` writes the page of a run.",
        ) from None


def _shown(url: str) -> bool:
    """Open an address in a browser that has a window; return whether there is one."""
    has_screen = sys.platform != "linux" or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    try:
        return has_screen and webbrowser.open(url)
    except webbrowser.Error:
        return False
