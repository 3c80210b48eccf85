"""Every rule about the compose file and the Dockerfile notices the defect it is for."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from deploy.checks.manifests import containers, rendering
from deploy.checks.manifests.objects import Finding


def texts(findings: list[Finding]) -> str:
    return "\n".join(fault for one in findings for fault in one.faults)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return rendering.compose()


COMPOSE_DEFECTS: list[tuple[str, str, Callable[[dict[str, Any]], object]]] = [
    ("read-only", "may write to its root", lambda s: s["gateway"].pop("read_only")),
    ("privileges", "may gain privileges", lambda s: s["gateway"].pop("security_opt")),
    ("privileged", "is not confined", lambda s: s["redis"].update(privileged=True)),
    ("image", "not pinned", lambda s: s["redis"].update(image="redis:latest")),
    ("health", "no health check", lambda s: s["gateway"].pop("healthcheck")),
    ("port", "to everybody", lambda s: s["gateway"]["ports"][0].pop("host_ip")),
    (
        "order",
        "does not wait until requests-migrate is done",
        lambda s: s["gateway"]["depends_on"]["requests-migrate"].update(
            condition="service_started"
        ),
    ),
    (
        "healthy",
        "does not wait until postgresql is healthy",
        lambda s: s["requests-migrate"]["depends_on"]["postgresql"].update(
            condition="service_started"
        ),
    ),
    (
        "writable secret",
        "may write to gateway-secrets",
        lambda s: s["gateway"]["volumes"][0].pop("read_only"),
    ),
    (
        "all secrets",
        "reads every secret",
        lambda s: s["demo"]["volumes"].append({"source": "site", "target": "/site"}),
    ),
]


@pytest.mark.parametrize(
    ("text", "plant"),
    [(text, plant) for _, text, plant in COMPOSE_DEFECTS],
    ids=[name for name, _, _ in COMPOSE_DEFECTS],
)
def test_a_defect_of_the_compose_file_is_found(
    compose: dict[str, Any], text: str, plant: Callable[[dict[str, Any]], object]
) -> None:
    planted = copy.deepcopy(compose)
    plant(planted["services"])

    assert text in texts(containers.check(planted))
    assert texts(containers.check(compose)) == ""


def test_a_compose_file_that_the_specification_does_not_know_is_refused(tmp_path: Any) -> None:
    file = tmp_path / "docker-compose.yml"
    file.write_text("services: {one: {image: redis, helthcheck: {}}}\n")

    with pytest.raises(rendering.NotRendered, match="helthcheck"):
        rendering.compose(file)


def test_a_dockerfile_with_a_fault_is_refused(tmp_path: Any) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text("FROM debian:latest\nCMD python\n")

    assert any("DL3007" in line for line in rendering.lint_dockerfile(file))
