import re

import pytest

from libs.common.crypto import (
    Mode,
    PublicSealingKey,
    SealBroken,
    SealingKey,
    SealingKeyring,
    digest,
    is_well_formed,
    issue_api_key,
    issue_signing_secret,
)


@pytest.mark.parametrize("mode", ["live", "test"])
def test_an_issued_key_is_well_formed_and_names_its_mode(mode: Mode) -> None:
    key = issue_api_key(mode)

    assert key.startswith(f"reqrun_{mode}_")
    assert is_well_formed(key)


def test_a_typo_is_found_without_a_lookup() -> None:
    key = issue_api_key("live")
    for index in range(len("reqrun_live_"), len(key)):
        other = "a" if key[index] != "a" else "b"
        assert not is_well_formed(key[:index] + other + key[index + 1 :])


@pytest.mark.parametrize("text", ["", "reqrun_live_", "sk-abc", "reqrun_live_" + "é" * 49])
def test_what_is_no_key_of_ours_is_not_well_formed(text: str) -> None:
    assert not is_well_formed(text)


def test_a_digest_needs_the_pepper() -> None:
    key = issue_api_key("test")

    assert digest(key, b"one") == digest(key, b"one")
    assert digest(key, b"one") != digest(key, b"two")
    assert len(digest(key, b"one")) == 32


def test_what_is_sealed_opens_with_the_private_key_in_its_context() -> None:
    key = SealingKey.generate()
    sealed = PublicSealingKey.from_text(key.public_text()).seal(b"sk-secret", "table/row-1")

    assert b"sk-secret" not in sealed
    again = SealingKeyring([SealingKey.from_text(key.to_text())])
    assert again.open(sealed, "table/row-1") == b"sk-secret"


def test_a_seal_does_not_open_in_another_row() -> None:
    key = SealingKey.generate()
    sealed = key.public.seal(b"sk-secret", "table/row-1")

    with pytest.raises(SealBroken):
        SealingKeyring([key]).open(sealed, "table/row-2")


def test_a_seal_does_not_open_with_another_key_or_after_a_change() -> None:
    key, stranger = SealingKey.generate(), SealingKey.generate()
    sealed = key.public.seal(b"sk-secret", "table/row-1")
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])

    with pytest.raises(SealBroken):
        SealingKeyring([stranger]).open(sealed, "table/row-1")
    with pytest.raises(SealBroken):
        SealingKeyring([key]).open(changed, "table/row-1")
    with pytest.raises(SealBroken):
        SealingKeyring([key]).open(b"", "table/row-1")


def test_old_and_new_keys_both_open_during_a_rotation() -> None:
    old, new = SealingKey.generate(), SealingKey.generate()
    ring = SealingKeyring([old, new])

    assert ring.open(old.public.seal(b"1", "c"), "c") == b"1"
    assert ring.open(new.public.seal(b"2", "c"), "c") == b"2"


def test_a_signing_secret_is_as_random_as_a_key_and_safe_in_a_shell() -> None:
    secrets = {issue_signing_secret() for _ in range(1_000)}

    assert len(secrets) == 1_000
    assert all(re.fullmatch("reqrun_secret_[0-9A-Za-z]{43}", secret) for secret in secrets)
