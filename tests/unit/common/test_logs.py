import json
import logging
from collections.abc import Callable, Iterator

import pytest
from structlog.testing import capture_logs

from libs.common import logs

CANARY = "canary-prompt-5d1f"


Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logs.configure("tests")  # as all others have it
    root.handlers[:] = handlers
    root.setLevel(level)


def logged(capsys: Capture, act: Callable[[], object]) -> dict[str, object]:
    """The one line that `act` logs."""
    logs.configure("gateway")
    act()
    (line,) = capsys.readouterr().out.splitlines()
    found: dict[str, object] = json.loads(line)
    return found


def fail() -> None:
    raise ValueError(CANARY)


def test_only_fields_on_the_list_reach_the_line(capsys: Capture) -> None:
    line = logged(
        capsys,
        lambda: logs.get("module").info("request_accepted", request_id="rr_1", prompt=CANARY),
    )

    assert (line["event"], line["service"]) == ("request_accepted", "gateway")
    assert (line["request_id"], line["dropped"]) == ("rr_1", ["prompt"])
    assert CANARY not in json.dumps(line)


def test_an_exception_is_told_by_type_and_place_and_never_by_its_text(capsys: Capture) -> None:
    def act() -> None:
        try:
            fail()
        except ValueError:
            logs.get("module").exception("request_crashed")

    line = logged(capsys, act)

    assert line["error"] == "ValueError"
    assert "test_logs.py" in json.dumps(line["trace"])
    assert CANARY not in json.dumps(line)


def test_a_librarys_record_is_told_without_its_text(capsys: Capture) -> None:
    line = logged(capsys, lambda: logging.getLogger("library").warning("lost %s", CANARY))

    assert (line["event"], line["module"]) == ("server_log_recorded", "library")
    assert CANARY not in json.dumps(line)


def test_who_logged_before_is_heard_by_who_listens_after_another_configuration(
    capsys: Capture,
) -> None:
    early = logs.get("early")
    logged(capsys, lambda: early.info("key_revoked"))
    logs.configure("gateway")

    with capture_logs() as lines:
        early.info("key_revoked")

    assert [line["event"] for line in lines] == ["key_revoked"]
