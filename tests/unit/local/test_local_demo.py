from pathlib import Path

import msgspec
import pytest

from deploy.local.demo import OPENAI_URL, Demo, Provider, Seeded, chosen_provider, open_hosts

DEMO = Demo(
    test_key="t",
    live_key="l",
    drop_in_key="d",
    signed_key="s",
    signing_secret="secret",
    free_key="f",
    provider_url="http://127.0.0.1:1/v1",
)


def test_without_an_openai_key_no_provider_is_chosen() -> None:
    assert chosen_provider({"OPENAI_BASE_URL": "https://example.com/v1"}) is None
    assert chosen_provider({"OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""}) is None


def test_an_openai_key_alone_means_openai() -> None:
    assert chosen_provider({"OPENAI_API_KEY": "k"}) == Provider(OPENAI_URL, "k")
    assert chosen_provider({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": ""}) == Provider(
        OPENAI_URL, "k"
    )


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (OPENAI_URL, {}),
        ("http://localhost:11434/v1", {"OPEN_HOSTS": "127.0.0.1,localhost"}),
    ],
)
def test_only_a_host_that_was_named_is_opened(
    tmp_path: Path, url: str, expected: dict[str, str]
) -> None:
    assert open_hosts(tmp_path, Provider(url, "k")) == expected


@pytest.mark.parametrize("is_simulated", [True, False])
def test_the_host_named_at_an_earlier_start_stays_open(
    tmp_path: Path, *, is_simulated: bool
) -> None:
    before = Seeded(DEMO, "digest", is_simulated)
    (tmp_path / "demo.json").write_bytes(msgspec.json.encode(before))
    assert bool(open_hosts(tmp_path, None)) is not is_simulated
