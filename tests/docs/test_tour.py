"""docs/tour.md is walked from the first command to the last, in one folder, as somebody does who is new to it.

Word for word but for ports, which other processes of the machine may hold. The folder stands for that of the
repository: what the tour needs of it is linked there.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import stitchpipe as sp
from flows.server import free_port
from stitchpipe.run import RunPlace
from tests.docs.blocks import ROOT, blocks_of

PAGE = ROOT / "docs" / "tour.md"
BLOCKS = blocks_of(PAGE)
STATIONS = ("quickstart", "mine", "images", "two-seeds", "nightly", "on-a-cluster")
"""The runs that the tour leaves, in its order."""


def script():
    """Return the tour as one script of the shell."""
    parts = ["set -e"]
    for block in BLOCKS:
        parts.append(f"echo '== {PAGE.name}:{block.line}'")
        if block.language in {"sh", "bash"}:
            parts.append(block.text)
        elif block.language == "python":
            parts.append(f"python - <<'END OF BLOCK'\n{block.text}END OF BLOCK")
        else:
            assert (block.language, block.kind) == ("toml", "file"), f"{PAGE.name}:{block.line}"
            parts.append(
                f"cat > {shlex.quote(block.hidden.strip())} <<'END OF BLOCK'\n{block.text}END OF BLOCK"
            )
    return "\n".join(parts)


def test_the_tour_has_its_stations_in_order():
    titles = re.findall(r"^## (\d)\. ", PAGE.read_text("utf-8"), re.MULTILINE)
    assert titles == [str(number) for number in range(1, 9)]
    text = script()
    places = [
        text.index(name) for name in ("stitchpipe quickstart", "runs/mine", "init images", "two-seeds.toml")
    ]
    assert places == sorted(places)
    checked = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_tour_is_walked(tmp_path):
    for name in ("prefect.yaml", "docker"):
        (tmp_path / name).symlink_to(ROOT / name)
    binaries = tmp_path / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "activate").write_text(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH\n")
    ports = {"4200": str(free_port()), "8786": str(free_port())}
    text = re.sub(r"\b(4200|8786)\b", lambda port: ports[port[0]], script())
    (tmp_path / "tour.sh").write_text(text)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment = inherited | {
        "PYTHONPATH": str(ROOT),
        "BROWSER": "true",  # a program that opens nothing
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_SERVER_API_PORT": ports["4200"],
        "PREFECT_UI_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    with (tmp_path / "log").open("w") as log:
        shell = subprocess.Popen(
            ["bash", "tour.sh"],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            status = shell.wait(3400)
        finally:
            os.killpg(shell.pid, signal.SIGTERM)  # the workers that it left in the background
            stop = [sys.executable, "-m", "prefect", "server", "stop"]
            subprocess.run(stop, cwd=tmp_path, env=environment, check=False, capture_output=True)
    told = (tmp_path / "log").read_text()
    assert status == 0, told[-4000:]
    for name in STATIONS:
        assert len(sp.open(tmp_path / "runs" / name).results()), name
    for name in ("quickstart", "two-seeds", "nightly", "on-a-cluster"):
        assert RunPlace.at(tmp_path / "runs" / name).findings() is not None, name
    for name in ("cka.svg", "two-seeds.zip", "images.toml"):
        assert (tmp_path / name).stat().st_size > 500, name
    here = sp.open(tmp_path / "runs" / "two-seeds")
    for other in ("nightly", "on-a-cluster"):
        difference = here.diff(tmp_path / "runs" / other, tolerance=1e-12)
        assert difference.numbers > 0
        assert difference.changed.empty, other
        assert difference.added.empty, other
        assert difference.removed.empty, other
