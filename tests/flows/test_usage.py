"""What each part of a deployment takes is told apart by the processes' command lines."""

import subprocess
import sys
import time

import pytest

from flows.loopback.usage import PartUsage, Usage, part_of, prefects_share


@pytest.mark.parametrize(
    ("command", "part"),
    [
        (["python", "-P", "-m", "flows.worker", "7", "flows.work"], "units"),
        (["/opt/bin/weed", "server", "-filer"], "S3 server"),
        (["python", "-m", "dask", "worker", "tcp://127.0.0.1:1"], "Dask"),
        (["python", "-m", "prefect", "server", "start"], "Prefect's server"),
        (["python", "-m", "prefect", "worker", "start", "--pool", "gpu-pool"], "Prefect's workers"),
        (["python", "-m", "prefect", "flow-run", "execute"], "flow runs"),
        (["python", "-c", "from multiprocessing.spawn import spawn_main"], ""),
    ],
)
def test_part_of_a_command(command, part):
    assert part_of(command) == part


def test_share_leaves_the_bucket_out():
    parts = {
        "S3 server": PartUsage(1000.0, 1),
        "Prefect's server": PartUsage(3.0, 1),
        "flow runs": PartUsage(1.0, 1),
        "units": PartUsage(16.0, 1),
    }
    assert prefects_share(parts) == pytest.approx(0.2)
    assert prefects_share({}) == 0.0


def test_a_child_without_words_of_its_own_belongs_to_its_parent():
    grandchild = "import time\nwhile time.process_time() < 0.5: pass\ntime.sleep(60)"
    child = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {grandchild!r}])"
    with Usage() as usage:
        process = subprocess.Popen([sys.executable, "-c", child, "-m", "dask", "scheduler"], process_group=0)
        try:
            while usage.parts().get("Dask", PartUsage(0, 0)).processor_s < 0.3:
                assert process.poll() is None
                time.sleep(0.2)
        finally:
            subprocess.run(["kill", "-9", "--", f"-{process.pid}"], check=True)
            process.wait()
    assert usage.parts()["Dask"].largest_mib > 5
