"""What can be known of docker/clusters/ without the programs it is for."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from prefect.utilities.templating import apply_values, find_placeholders

ROOT = Path(__file__).resolve().parents[2]
CLUSTERS = ROOT / "docker" / "clusters"
TEMPLATE = json.loads((CLUSTERS / "kubernetes-pool.json").read_text("utf-8"))
GIVEN = {"command": "prefect flow-run execute", "name": "a-run", "env": {"A": "b"}, "labels": {"c": "d"}}


def manifest(**variables):
    """The job that Prefect's worker would ask for."""
    defaults = {
        name: about["default"]
        for name, about in TEMPLATE["variables"]["properties"].items()
        if "default" in about
    }
    values = defaults | GIVEN | variables
    jsonschema.validate(values, TEMPLATE["variables"])
    job = apply_values(TEMPLATE["job_configuration"], values)["job_manifest"]
    # Prefect's worker itself turns the variables into a list and the command into arguments.
    container = job["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [{"name": name, "value": value} for name, value in container["env"].items()]
    container["args"] = container["args"].split()
    return job


def test_the_template_of_the_kubernetes_pool_names_only_its_variables():
    jsonschema.Draft202012Validator.check_schema(TEMPLATE["variables"])
    used = {place.name for place in find_placeholders(TEMPLATE["job_configuration"])}
    assert used == set(TEMPLATE["variables"]["properties"])
    assert all(about["description"] for about in TEMPLATE["variables"]["properties"].values())
    with pytest.raises(jsonschema.ValidationError):
        manifest(gpus=-1)


def test_a_job_gets_its_gpu_runs_as_a_user_and_reads_secrets_from_the_cluster():
    pod = manifest(gpus=2)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert pod["securityContext"]["runAsUser"] == 10001
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["envFrom"] == [{"secretRef": {"name": "stitchpipe"}}]
    assert {mount["name"] for mount in container["volumeMounts"]} == {v["name"] for v in pod["volumes"]}


def test_slurm_workers_ask_for_a_gpu_and_pass_the_end_of_their_time_on():
    script = (CLUSTERS / "slurm-gpu-worker.sh").read_text("utf-8")
    assert "#SBATCH --gres=gpu:1" in script
    assert "--signal=B:TERM" in script
    assert re.search(r"prefect worker start --pool gpu-pool .*--limit 1", script)
    assert not re.search(r"(AUTH_STRING|SECRET_ACCESS_KEY)=\S", script)


def test_dask_on_slurm_has_one_thread_in_each_process():
    slurm = yaml.safe_load((CLUSTERS / "dask-jobqueue.yaml").read_text("utf-8"))["jobqueue"]["slurm"]
    assert slurm["cores"] == slurm["processes"]
    assert any("OMP_NUM_THREADS=1" in line for line in slurm["job-script-prologue"])
