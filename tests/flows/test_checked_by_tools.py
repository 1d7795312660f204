"""docker/ as the programs see it that know it best: Compose, hadolint, ShellCheck, Kubernetes' schema, dask-jobqueue.

They are installed, by their hashes, into an environment of their own; without a registry these tests are skipped.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError

from flows.loopback.bucket import BucketServer
from flows.server import free_port
from tests.flows.image_steps import Image
from tests.flows.test_clusters import manifest

ROOT = Path(__file__).resolve().parents[2]
DOCKER, CLUSTERS = ROOT / "docker", ROOT / "docker" / "clusters"
SECRETS = {"POSTGRES_PASSWORD": "p", "PREFECT_AUTH_STRING": "u:a", "S3_ACCESS_KEY": "k", "S3_SECRET_KEY": "s"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def run(*command, **options):
    return subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        **options,
    )


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    """The folder of the programs of docker/tools.lock."""
    home = tmp_path_factory.mktemp("tools")
    uv = Path(sys.executable).with_name("uv")
    assert run(sys.executable, "-m", "venv", home).returncode == 0
    where = ["--python", home / "bin" / "python", "--require-hashes", "--requirement", DOCKER / "tools.lock"]
    installed = run(uv, "pip", "install", *where)
    if re.search("dns error|connection refused|timed out|error sending request", installed.stderr.lower()):
        pytest.skip("no registry to install docker/tools.lock from")
    assert installed.returncode == 0, installed.stderr
    return home / "bin"


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
@pytest.mark.parametrize(
    "more", [[], ["-f", CLUSTERS / "compose.servers.yaml"]], ids=["one server", "several"]
)
def test_compose_accepts_the_stack(tools, profile, more):
    secrets = {**os.environ, **SECRETS, "REDIS_PASSWORD": "r", "COMPOSE_PROFILES": profile}
    files = ["-f", DOCKER / "compose.yaml", *more]
    told = run(tools / "docker-compose", *files, "config", "--format", "json", env=secrets)
    assert told.returncode == 0, told.stderr
    services = json.loads(told.stdout)["services"]
    assert ("redis" in services) == bool(more)
    assert services["prefect-server"]["environment"]["PREFECT_SERVER_DATABASE_HOST"] == "postgres"
    assert all("read_only" in service for service in services.values())
    without = run(tools / "docker-compose", *files, "config", "--quiet", env={"PATH": os.environ["PATH"]})
    assert without.returncode != 0  # secrets have no default


def test_hadolint_finds_nothing(tools, tmp_path):
    told = run(tools / "hadolint", *sorted(DOCKER.glob("Dockerfile.*")))
    assert told.returncode == 0, told.stdout
    (tmp_path / "Dockerfile").write_text("FROM debian\nRUN cd /tmp && sudo apt-get install x\n")
    assert run(tools / "hadolint", tmp_path / "Dockerfile").returncode != 0


def test_shellcheck_finds_nothing(tools):
    told = run(tools / "shellcheck", *sorted(CLUSTERS.glob("*.sh")))
    assert told.returncode == 0, told.stdout


@pytest.mark.parametrize("gpus", [0, 1])
def test_the_job_of_the_kubernetes_pool_keeps_to_the_schema_of_kubernetes(tools, tmp_path, gpus):
    job, wrong = tmp_path / "job.yaml", tmp_path / "wrong.yaml"
    asked = manifest(gpus=gpus)
    asked["metadata"]["name"] = asked["metadata"].pop("generateName") + "1"  # as the cluster does
    job.write_text(yaml.safe_dump(asked))
    told = run(tools / "kubernetes-validate", "--strict", job)
    assert told.returncode == 0, told.stdout + told.stderr
    asked["spec"]["backOffLimit"] = 0
    wrong.write_text(yaml.safe_dump(asked))
    assert run(tools / "kubernetes-validate", "--strict", wrong).returncode != 0


def test_dask_jobqueue_makes_a_job_of_the_settings(tools, tmp_path):
    shutil.copy(CLUSTERS / "dask-jobqueue.yaml", tmp_path)
    code = (
        "from dask_jobqueue.slurm import SLURMJob\n"
        "print(SLURMJob('tcp://127.0.0.1:8786', name='w', config_name='slurm').job_script())"
    )
    told = run(tools / "python", "-c", code, env={**os.environ, "DASK_CONFIG": str(tmp_path)})
    assert told.returncode == 0, told.stderr
    script = told.stdout
    assert "#SBATCH -J stitchpipe-dask" in script
    assert "#SBATCH --cpus-per-task=8" in script
    assert "--nworkers 8" in script
    assert "--nthreads 1" in script
    assert "--lifetime 225m" in script
    written = tmp_path / "job.sh"
    written.write_text(script)
    assert run("bash", "-n", written).returncode == 0


@pytest.mark.skipif(BucketServer(Path()).weed is None, reason="SeaweedFS is not installed")
def test_the_s3_server_of_the_stack_knows_its_key_and_answers_conditional_writes(tmp_path):
    service = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))["services"]["s3"]
    port, here = free_port(), {"0.0.0.0": "127.0.0.1", "/data": str(tmp_path), "/tmp": str(tmp_path)}
    arguments = [
        re.sub("|".join(map(re.escape, here)), lambda found: here[found[0]], argument)
        for argument in service["command"]
    ]
    ours = [argument for argument in arguments if not argument.startswith("-s3.port=")]
    own = [f"-{name}={free_port()}" for name in ("master.port", "volume.port", "filer.port")]
    own += [f"-{name}.port.grpc={free_port()}" for name in ("master", "volume", "filer", "s3")]
    key = {"AWS_ACCESS_KEY_ID": "the-key-of-the-stack", "AWS_SECRET_ACCESS_KEY": "the-secret-of-the-stack"}
    command = [BucketServer(Path()).weed, *ours, f"-s3.port={port}", *own]
    with subprocess.Popen(command, env=key, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _until_healthy(service, port)
            put(port, *key.values())
            with pytest.raises(ClientError, match="PreconditionFailed"):
                put(port, *key.values())
            with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
                put(port, key["AWS_ACCESS_KEY_ID"], "another")
        finally:
            server.terminate()


def put(port, access, secret):
    s3 = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id=access,
        aws_secret_access_key=secret,
    )
    s3.put_object(Bucket="stitchpipe", Key="a", Body=b"1", IfNoneMatch="*")


def _until_healthy(service, port):
    (url,) = [word for word in service["healthcheck"]["test"] if word.startswith("http")]
    deadline = time.monotonic() + 120.0
    while True:
        try:
            assert urllib.request.urlopen(url.replace(":7070", f":{port}"), timeout=5.0).status == 200
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < deadline
            time.sleep(0.5)
        else:
            return


@pytest.mark.timeout(3600)
def test_the_steps_of_an_image_make_an_environment_without_the_tools_of_development(tmp_path):
    image = Image(DOCKER / "Dockerfile.cpu", tmp_path)
    image.replay()
    environment = image.environment | {"HOME": str(tmp_path), "PREFECT_HOME": str(tmp_path / "prefect")}
    python = image.path("/opt/stitchpipe/bin/python")
    for module in ("pytest", "mypy", "moto", "hypothesis"):
        assert run(python, "-c", f"import {module}", env=environment).returncode != 0
    for module in (
        "flows.sweep",
        "flows.automations",
        "flows.arrivals",
        "timm",
        "transformers",
        "prefect_redis",
    ):
        told = run(python, "-c", f"import {module}", env=environment, cwd=tmp_path)
        assert told.returncode == 0, told.stderr
    for program in ("prefect", "dask", "stitchpipe"):
        told = run(image.path(f"/opt/stitchpipe/bin/{program}"), "--help", env=environment, cwd=tmp_path)
        assert told.returncode == 0, told.stderr
    assert {path.name for path in image.path("/srv/stitchpipe").iterdir()} == {
        "prefect.yaml",
        "automations.yaml",
    }
