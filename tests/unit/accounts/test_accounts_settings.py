"""The settings of accounts."""

from base64 import b64encode

import msgspec
import pytest

from libs.common.crypto import SealingKey
from libs.common.settings import SettingsError, load
from libs.common.tokens import PublicServiceKey
from services.accounts.api.commands import Inputs
from services.accounts.domain.contacts import Contacts, SubProcessor
from services.accounts.settings import Settings

CONTACTS = Contacts(
    operator="Example Ltd",
    privacy="privacy@example.org",
    security="security@example.org",
    support="support@example.org",
    region="Germany",
    sub_processors=(SubProcessor("Example Mail", "delivers mail", "Germany"),),
)
PEPPER = b64encode(b"p" * 32).decode()
GIVEN = {
    "REQRUN_DATABASE_URL": "postgresql://reqrun_accounts:hunter2@127.0.0.1/accounts",
    "REQRUN_BROKER_URL": "amqp://accounts:hunter2@127.0.0.1/",
    "REQRUN_API_KEY_PEPPER": PEPPER,
    "REQRUN_EXECUTOR_PUBLIC_KEY": SealingKey.generate().public_text(),
    "REQRUN_DATA_PLANE_PUBLIC_KEY": SealingKey.generate().public_text(),
    "REQRUN_SERVICE_PUBLIC_KEYS": '{"gateway-1": {"issuer": "gateway", "pem": "a key"}}',
    "REQRUN_SERVICE_KEY": "a private hunter2",
    "REQRUN_SERVICE_KEY_ID": "accounts-1",
    "REQRUN_GATEWAY_URL": "http://127.0.0.1:1",
    "REQRUN_EXECUTOR_URL": "http://127.0.0.1:2",
    "REQRUN_BILLING_URL": "http://127.0.0.1:4",
    "REQRUN_SMTP_URL": "smtp://reqrun:hunter2@mail.example.org:587",
    "REQRUN_MAIL_FROM": "ReqRun <reqrun@example.org>",
    "REQRUN_DASHBOARD_URL": "https://app.example.org",
    "REQRUN_API_URL": "https://api.example.org",
    "REQRUN_CONTACTS": msgspec.json.encode(CONTACTS).decode(),
}


def test_they_come_from_the_environment_and_default_to_production() -> None:
    settings = load(Settings, GIVEN | {"REQRUN_OPEN_HOSTS": "127.0.0.1, localhost"})

    assert settings.service_public_keys == {"gateway-1": PublicServiceKey("gateway", "a key")}
    assert settings.open_hosts == ("127.0.0.1", "localhost")
    assert settings.env == "production"
    assert settings.pepper() == b"p" * 32
    assert settings.contacts == CONTACTS


def test_no_secret_shows_when_they_are_printed() -> None:
    inputs = load(Inputs, {"REQRUN_PROVIDER_KEY": "hunter2"})

    shown = repr(load(Settings, GIVEN)) + repr(inputs)

    assert "hunter2" not in shown
    assert PEPPER not in shown


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        load(Settings, {})

    assert [name for name in GIVEN if name not in str(refused.value)] == []


@pytest.mark.parametrize("pepper", ["", "no base64!", b64encode(b"p" * 31).decode()])
def test_a_weak_pepper_is_refused_and_not_quoted(pepper: str) -> None:
    with pytest.raises(SettingsError, match="REQRUN_API_KEY_PEPPER") as refused:
        load(Settings, GIVEN | {"REQRUN_API_KEY_PEPPER": pepper})

    assert not pepper or pepper not in str(refused.value)


@pytest.mark.parametrize("key", ["", "no base64!", b64encode(b"k" * 31).decode()])
@pytest.mark.parametrize("variable", ["REQRUN_EXECUTOR_PUBLIC_KEY", "REQRUN_DATA_PLANE_PUBLIC_KEY"])
def test_what_is_no_public_key_is_refused(variable: str, key: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        load(Settings, GIVEN | {variable: key})
