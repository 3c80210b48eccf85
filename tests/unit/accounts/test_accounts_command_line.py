"""The operator's command line of accounts."""

import pytest

from services.accounts.api.commands import COMMANDS, parser


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_explains_itself(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args([*words.split(), "--help"])

    assert ended.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert COMMANDS[words].text in text
    assert "--json" in text


def test_a_provider_key_is_never_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["connections", "set", "--project", "p", "--base-url", "u", "--key", "sk-1"]

    with pytest.raises(SystemExit):
        parser().parse_args(given)

    assert "unrecognized arguments" in capsys.readouterr().err
