"""docs/clusters.md: what it tells people to do on one machine is done, word for word but for the port and the sweep."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flows.server import free_port
from stitchpipe.run import RunPlace
from tests.docs.blocks import ROOT, blocks_of
from tests.tiny_sweep import TINY

PAGE = ROOT / "docs" / "clusters.md"
BLOCKS = [block for block in blocks_of(PAGE) if block.language == "bash"]
TEXT = PAGE.read_text("utf-8")


def test_commands_are_those_of_a_shell_and_name_what_exists(tmp_path):
    assert len(BLOCKS) > 8
    text = "\n".join(block.text for block in BLOCKS)
    checked = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr
    modules = re.findall(r"python -m (flows\.\w+)", text)
    assert len(set(modules)) == 2
    assert all(importlib.util.find_spec(module) for module in modules)
    files = re.findall(r"docker/[\w./-]+", TEXT)
    assert len(set(files)) > 5
    assert [name for name in files if not (ROOT / name.rstrip(".")).exists()] == []


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_what_runs_on_a_schedule_is_set_up_and_run(tmp_path):
    (tmp_path / "tiny.toml").write_text(TINY)
    for name in ("prefect.yaml", "docker"):  # as in the folder of the repository, whose `runs` stays as it is
        (tmp_path / name).symlink_to(ROOT / name)
    port = str(free_port())
    start = TEXT.count("\n", 0, TEXT.index("## Run it on a schedule"))
    end = TEXT.count("\n", 0, TEXT.index("### When something dies"))
    script = "set -e\n" + "".join(block.text for block in BLOCKS if start < block.line < end)
    assert script.count("prefect worker start") == 2
    script = script.replace(":4200/", f":{port}/").replace("sweep=quickstart", f"sweep={tmp_path}/tiny.toml")
    (tmp_path / "page.sh").write_text(script)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment = inherited | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_SERVER_API_PORT": port,
        "PREFECT_UI_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    with (tmp_path / "log").open("w") as log:
        shell = subprocess.Popen(
            ["bash", "page.sh"],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            status = shell.wait(1200)
        finally:
            os.killpg(shell.pid, signal.SIGTERM)  # the workers that it left in the background
            stop = [sys.executable, "-m", "prefect", "server", "stop"]
            subprocess.run(stop, cwd=tmp_path, env=environment, check=False, capture_output=True)
    told = (tmp_path / "log").read_text()
    assert status == 0, told[-4000:]
    assert RunPlace.at(tmp_path / "runs" / "nightly").findings() is not None
    assert "Completed" in told, told[-4000:]
