"""What people may type, and how it is kept."""

from datetime import timedelta
from pathlib import Path

import pytest

from libs.common.errors import InvalidInput
from libs.common.settings import Secret, SettingsError
from services.accounts.adapters.smtp import SmtpPost, parse_relay
from services.accounts.domain import passwords, throttles
from services.accounts.domain.addresses import network_of
from services.accounts.domain.browsers import clean, describe
from services.accounts.domain.countries import COUNTRIES, check_country, name_of
from services.accounts.domain.emails import Email, check_email
from services.accounts.domain.errors import FieldErrors, InvalidEmail, InvalidName, WeakPassword
from services.accounts.domain.forms import Fields
from services.accounts.domain.names import check_name
from services.accounts.domain.passwords import check_password, hash_password, is_password
from services.accounts.domain.tokens import LIVES, PATHS, Purpose, digest_of, new_token

GOOD = "plain words in a row"


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("elevenchars", "at least 12"),
        ("x" * 129, "at most 128"),
        ("aaaaaaaaaaaaaaa", "repeats"),
        ("abcabcabcabcabc", "repeats"),
        ("abcdefghijklmnop", "counts"),
        ("password1234", "tried first"),
        ("Password2026!!", "tried first"),
        ("P@ssw0rd2026!!", "tried first"),
        ("qwertyuiop123", "tried first"),
        ("correcthorsebatterystaple", "tried first"),
        ("ReqRun-ReqRun1", "our name"),
        ("ada.lovelace1", "your name"),
        ("engines ltd 42", "your name"),
        ("plain\0words in a row", "can be typed"),
        ("plain\nwords in a row", "can be typed"),
        ("plain \ud800 words in a row", "can be typed"),
    ],
    ids=range(16),
)
def test_a_weak_password_is_refused_with_what_to_change(password: str, says: str) -> None:
    with pytest.raises(WeakPassword, match=says):
        check_password(password, ("ada.lovelace", "Ada Lovelace", "Engines Ltd"))


@pytest.mark.parametrize(
    "password", [GOOD, "grüne Bäume im Wald", "🙂" * 6 + "🙃😀😁😂🤣😃", GOOD * 6], ids=range(4)
)
def test_any_other_password_is_good_whatever_its_characters(password: str) -> None:
    assert check_password(password) == password


def test_every_entry_of_the_list_is_refused() -> None:
    listed = Path(passwords.__file__).parent / "data" / "common_passwords.txt"
    entries = listed.read_text(encoding="utf-8").split()
    assert len(entries) > 400
    for entry in entries:
        if 12 <= len(entry) <= 128:
            with pytest.raises(WeakPassword):
                check_password(entry)


def test_a_password_is_the_same_on_every_keyboard_and_nothing_else_is() -> None:
    stored = hash_password("grüne Bäume im Wald")

    assert is_password("gru\u0308ne Ba\u0308ume im Wald", stored)
    for other in ("grune Baume im Wald", "GRÜNE Bäume im Wald", "\ud800", ""):
        assert not is_password(other, stored)
    assert hash_password(GOOD) != hash_password(GOOD)
    assert not passwords.is_outdated(stored)
    assert passwords.is_outdated(stored.replace("t=2", "t=1"))


@pytest.mark.parametrize("text", ["ada@example.org", " A.d+a@sub.example.co.uk ", "x@y.zz"])
def test_addresses_are_taken(text: str) -> None:
    assert check_email(text).key == text.strip().lower()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "ada@localhost",
        "a da@example.org",
        "ada@example.org\r\nBcc: x@y.org",
        "ada@example.org\n",
        "ada@exa\0mple.org",
        "ada@example.org,bob@example.org",
        "<ada@example.org>",
        ".ada@example.org",
        "a..da@example.org",
        "ada@-example.org",
        "ädä@example.org",
        "\ud800@example.org",
        "x" * 65 + "@example.org",
        "a@" + "x." * 125 + "orgs",
    ],
    ids=range(16),
)
def test_what_is_no_address_is_refused(text: str) -> None:
    if text == "ada@example.org\n":
        assert check_email(text).text == "ada@example.org"
        return
    with pytest.raises(InvalidEmail):
        check_email(text)


@pytest.mark.parametrize(
    "name", ["", " ", "a\nb", "a\0", "\x1b[31m", "\ud800", "x" * 101, "a\u202eb"]
)
def test_a_name_is_something_that_can_be_read(name: str) -> None:
    with pytest.raises(InvalidName):
        check_name(name)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", "unknown"),
        ("nobody", "unknown"),
        ("1.2.3.4.5", "unknown"),
    ],
)
def test_an_address_is_kept_as_its_network(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "Firefox on Linux",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/150.0 Safari/537.36 Edg/150.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) Version/26.0 Safari/604.1",
            "Safari on iPhone",
        ),
        ("curl/8.9.1", "curl"),
        ("", "An unknown browser"),
        ("<script>", "An unknown browser"),
    ],
    ids=["firefox", "edge", "iphone", "curl", "none", "hostile"],
)
def test_a_browser_is_named_in_words_of_ours(agent: str, said: str) -> None:
    assert describe(agent) == said


def test_what_is_kept_of_a_browser_is_short_and_printable() -> None:
    assert clean("a\0\r\n\ud800b" * 1000) == "ab" * 100


def test_countries_are_all_there_by_name() -> None:
    assert len(COUNTRIES) == 249
    assert [country.name for country in COUNTRIES][:3] == [
        "Afghanistan",
        "Åland Islands",
        "Albania",
    ]
    assert name_of(check_country("DE")) == "Germany"
    assert all(name.isprintable() for _, name in COUNTRIES)


@pytest.mark.parametrize("code", ["", "de", "XX", "DEU", "\ud800"])
def test_what_is_no_country_is_refused(code: str) -> None:
    with pytest.raises(InvalidInput):
        check_country(code)


def test_a_form_says_all_that_is_wrong_and_each_only_once() -> None:
    fields = Fields()
    with fields.check("name"):
        check_name("")
    with fields.check("email"):
        check_email("")
    fields.add("name", "another thing")

    with pytest.raises(FieldErrors) as raised:
        fields.end()

    assert list(raised.value.fields) == ["name", "email"]
    assert "another" not in raised.value.fields["name"]


def test_tokens_are_long_and_never_the_same() -> None:
    tokens = {new_token().text for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(text) == 43 for text in tokens)
    assert digest_of("\ud800") != digest_of("?")


def test_every_link_has_a_life_and_a_page() -> None:
    assert set(LIVES) == set(PATHS) == set(Purpose)
    assert LIVES[Purpose.VERIFY] == timedelta(hours=24)
    assert LIVES[Purpose.RESET] <= timedelta(hours=1)


def test_throttles_name_nobody() -> None:
    email = Email("ada@example.org")
    bounds = [*throttles.on_password(email, "n"), *throttles.on_mail(email, "n")]
    bounds += throttles.on_link("n")

    assert len({bound.name for bound in bounds}) == len(bounds)
    assert not [bound for bound in bounds if "ada@" in bound.name or len(bound.name) > 100]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://relay.example", (587, False, True)),
        ("smtp://localhost:25", (25, False, None)),
        ("smtps://relay.example", (465, True, False)),
        ("smtp+plain://relay.example", (25, False, False)),
    ],
)
def test_a_relay_elsewhere_must_speak_tls(url: str, expected: tuple[int, bool, bool]) -> None:
    relay = parse_relay(Secret(url))

    assert (relay.port, relay.is_tls, relay.start_tls) == expected
    assert relay.username is None


@pytest.mark.parametrize(
    "url", ["", "relay.example", "http://relay.example", "smtp://", "smtp://h:x"]
)
def test_what_is_no_relay_is_found_at_the_start(url: str) -> None:
    with pytest.raises(SettingsError, match="REQRUN_SMTP_URL"):
        parse_relay(Secret(url))


@pytest.mark.parametrize("sender", ["", "nobody", "a b <c>"])
def test_what_is_no_sender_is_found_at_the_start(sender: str) -> None:
    with pytest.raises(SettingsError, match="REQRUN_MAIL_FROM"):
        SmtpPost(Secret("smtp://localhost"), sender)
