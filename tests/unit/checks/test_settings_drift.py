"""Drift between settings Structs and what processes are given is found."""

from typing import Any

import pytest

from deploy.checks.manifests import processes, rendering, settings
from deploy.checks.manifests.objects import Finding


def texts(finding: Finding) -> str:
    return "\n".join(finding.faults)


def given(**changes: Any) -> processes.Process:
    plain: dict[str, Any] = {
        "place": "here",
        "role": ("billing", "migrate"),
        "values": {},
        "secrets": frozenset({"REQRUN_MIGRATION_URL"}),
    }
    return processes.Process(**(plain | changes))


SECRETS = {"REQRUN_MIGRATION_URL": "postgresql://…", "REQRUN_OLD_URL": ""}


@pytest.mark.parametrize(
    ("process", "text"),
    [
        pytest.param(given(secrets=frozenset()), "REQRUN_MIGRATION_URL is not set", id="missing"),
        pytest.param(given(values={"REQRUN_PORTS": "1"}), "nobody reads REQRUN_PORTS", id="unread"),
        pytest.param(
            given(secrets=frozenset(SECRETS)), "nobody reads REQRUN_OLD_URL", id="unread secret"
        ),
        pytest.param(
            given(values={"REQRUN_MIGRATION_URL": "x"}), "is given twice", id="given twice"
        ),
        pytest.param(
            given(values={"REQRUN_MIGRATION_URL": "x"}, secrets=frozenset()),
            "is a secret and stands in the manifest",
            id="a secret in the manifest",
        ),
        pytest.param(
            given(role=("executor", "simulator"), values={"REQRUN_PORT": "eighty"}),
            "REQRUN_PORT is not a valid int",
            id="not a number",
        ),
    ],
)
def test_drift_from_the_settings_is_found(process: processes.Process, text: str) -> None:
    assert text in texts(settings.check([process], SECRETS))


def test_settings_that_fit_are_no_drift() -> None:
    assert settings.check([given()], SECRETS).is_good


def test_a_process_that_runs_in_one_place_only_is_found() -> None:
    places = {"here": [("gateway", "web"), ("billing", "web")], "there": [("gateway", "web")]}

    assert settings.check_places(places).faults == ["billing web does not run in there"]


def test_a_process_with_other_secrets_elsewhere_is_found() -> None:
    other = given(place="there", secrets=frozenset(SECRETS))

    assert "billing migrate has other secrets in here than in there" in texts(
        settings.check_secrets([given(), other])
    )


def test_what_the_settings_want_is_what_compose_and_overlays_give() -> None:
    overlays = rendering.installations()
    running = [
        *processes.of_compose(rendering.compose()),
        *(one for overlay in overlays for one in processes.of_overlay(overlay)),
    ]

    for found in (
        settings.check(running, settings.made_secrets()),
        settings.check_secrets(running),
    ):
        assert found.is_good, found.faults
