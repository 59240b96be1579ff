"""The files for Docker are right by the compose specification's schema and by hadolint.

And they name what there is. No Docker engine is needed; what only one can tell is not told here.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from scalix_callbacks.cli.running import BEYOND_TIMEOUT_S
from scalix_callbacks.settings.environment import read_environment
from scalix_callbacks.settings.variables import SETTINGS
from tests.deploy.tools import DEPLOY

ROOT = DEPLOY.parent
DEFAULTS = {setting.name: setting.default for setting in SETTINGS}


def loaded(name: str) -> dict[str, Any]:
    text = (DEPLOY / name).read_text()
    read: dict[str, Any] = yaml.safe_load(text)
    return read


ONE, CLUSTER = loaded("compose.yaml"), loaded("compose.cluster.yaml")
SERVICES = {**ONE["services"], **{n: s for n, s in CLUSTER["services"].items() if "image" in s}}
GATEWAYS = {name: service for name, service in SERVICES.items() if name.startswith("proxy")}


def seconds(text: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()  # type: ignore[union-attr]
    return float(number) * (60 if unit == "m" else 1)


def test_the_files_are_of_the_compose_specification() -> None:
    """By its own schema, as check-jsonschema carries it."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [*command, DEPLOY / "compose.yaml", DEPLOY / "compose.cluster.yaml"], capture_output=True, text=True
    )

    assert 0 == done.returncode, done.stdout + done.stderr


def test_the_dockerfile_is_well_made() -> None:
    """By hadolint, without one exception."""
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert hadolint is not None, "It is in requirements.lock: install that."
    done = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True)

    assert (0, "") == (done.returncode, done.stdout)


def test_the_dockerfile_copies_what_there_is_and_installs_by_the_lock() -> None:
    """Each source is there and sent to the engine; the commands are those of README.md."""
    lines = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    copied = {
        source
        for line in lines
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    }
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    readme = re.search(r"^python3 -m venv .*--demo$", (ROOT / "README.md").read_text(), re.MULTILINE)
    run = " && ".join(line.removeprefix("RUN ") for line in lines if line.startswith("RUN "))
    packaged = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["readme"]

    assert readme is not None
    assert set() == {source for source in copied if not (ROOT / source).exists()}
    assert copied == sent
    assert packaged in copied
    for command in readme[0].split(" && ")[:3]:
        assert command in run


def test_gateways_are_given_settings_that_exist() -> None:
    """And such that it starts with them."""
    for name, service in GATEWAYS.items():
        given = {key: str(value) for key, value in service["environment"].items()}

        assert set() == set(given) - set(DEFAULTS), name
        assert read_environment({**given, "SCALIX_DATA_DIR": str(DEPLOY)}).host == "0.0.0.0"


def test_a_stop_has_the_time_that_a_drain_takes() -> None:
    """Docker kills what has not ended by then."""
    for service in GATEWAYS.values():
        given = {**DEFAULTS, **service["environment"]}
        drain_s = float(given["SCALIX_SHUTDOWN_TIMEOUT_S"]) + float(given["SCALIX_READINESS_GRACE_S"])

        assert seconds(service["stop_grace_period"]) >= drain_s + BEYOND_TIMEOUT_S


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_bounded_watched_and_without_rights(name: str) -> None:
    """No root, no capability, a read-only image that is pinned, restarted, and its health asked for."""
    service = SERVICES[name]
    image = service["image"].removeprefix("${SCALIX_IMAGE:-").removesuffix("}")

    assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+\.\d+|[a-z/-]+:\d+\.\d+", image)
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert (True, ["ALL"], ["no-new-privileges:true"]) == (
        service["read_only"],
        service["cap_drop"],
        service["security_opt"],
    )
    assert service["restart"] in ("unless-stopped", "on-failure")
    assert "healthcheck" in service or service["restart"] == "on-failure"


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_names_what_there_is(name: str) -> None:
    """Files beside the compose file, volumes, secrets, networks and services of the same one."""
    service = SERVICES[name]
    volumes = {**ONE["volumes"], **CLUSTER["volumes"]}
    secrets = {**ONE["secrets"], **CLUSTER["secrets"]}

    for mount in service.get("volumes", []):
        source, target, *mode = mount.split(":")
        assert target.startswith("/")
        if source.startswith("."):
            assert (DEPLOY / source).exists(), mount
            assert ["ro"] == mode
        else:
            assert source in volumes
    assert set() == set(service.get("secrets", [])) - set(secrets)
    assert set() == set(service.get("networks", [])) - set(ONE["networks"])
    assert set() == set(service.get("depends_on", [])) - set(SERVICES)


def test_no_secret_is_in_the_files() -> None:
    """Each comes from a file of a folder that git does not see; .env.example names them all."""
    example = (DEPLOY / ".env.example").read_text()
    text = (DEPLOY / "compose.yaml").read_text() + (DEPLOY / "compose.cluster.yaml").read_text()

    for name, secret in {**ONE["secrets"], **CLUSTER["secrets"]}.items():
        assert f"${{SCALIX_SECRETS:-./secrets}}/{name}" == secret["file"]
    assert set() == {name for name in ONE["secrets"] if not re.search(rf"\b{name}\b", example)}
    assert set(re.findall(r"\$\{(\w+)", text)) == set(re.findall(r"^(\w+)=", example, re.MULTILINE))
    assert not re.search(r"(?i)(password|key|token)\w*[:=] *[\"']?[a-z0-9]{12,}", text)
    assert "deploy/secrets/" in (ROOT / ".gitignore").read_text().split()


def test_the_ports_agree() -> None:
    """nginx listens where it is reached, and reaches the gateways where they listen."""
    nginx = "".join((DEPLOY / "nginx" / "scalix" / f"{name}.conf").read_text() for name in ("tls", "plain"))
    upstream = re.findall(
        r"^server (\S+?)[ ;]", (DEPLOY / "nginx/scalix/upstream.conf").read_text(), re.MULTILINE
    )
    scraped = yaml.safe_load((DEPLOY / "prometheus/compose.yml").read_text())["scrape_configs"][0]

    inside = [port.rsplit(":", 1)[1] for port in SERVICES["nginx"]["ports"]]
    assert inside == re.findall(r"listen (\d+)", nginx)
    listening = [f"{name}:{service['environment']['LITELLM_PORT']}" for name, service in GATEWAYS.items()]
    assert listening == upstream == scraped["static_configs"][0]["targets"]
    nginx_address = SERVICES["nginx"]["networks"]["edge"]["ipv4_address"]
    trusted = {service["environment"]["SCALIX_TRUSTED_PROXIES"] for service in GATEWAYS.values()}
    assert {nginx_address} == trusted
    for found in re.findall(r"ssl_certificate(?:_key)? /run/secrets/(\w+);", nginx):
        assert found in SERVICES["nginx"]["secrets"]


@pytest.mark.parametrize(
    ("network", "names"), [("edge", ["nginx", *GATEWAYS]), ("inside", [f"redis{i}" for i in range(1, 7)])]
)
def test_who_is_known_by_address_keeps_it(network: str, names: list[str]) -> None:
    """One of its own, in its network, and none that is given to whoever comes."""
    pool = ONE["networks"][network]["ipam"]["config"][0]
    addresses = [ip_address(SERVICES[name]["networks"][network]["ipv4_address"]) for name in names]

    assert len(names) == len(set(addresses))
    assert all(address in ip_network(pool["subnet"]) for address in addresses)
    assert not any(address in ip_network(pool["ip_range"]) for address in addresses)


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    """Where the compose file has put them."""
    provisioning = DEPLOY / "grafana" / "provisioning"
    source = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())["datasources"][0]
    folder = yaml.safe_load((provisioning / "dashboards/scalix.yml").read_text())["providers"][0]["options"][
        "path"
    ]

    assert "http://prometheus:9090" == source["url"]
    assert f"./grafana/scalix.json:{folder}/scalix.json:ro" in SERVICES["grafana"]["volumes"]
