"""What people say of themselves, and which mails they want."""

import pytest

from services.accounts.domain.errors import FieldErrors
from services.accounts.ports import Ports
from services.accounts.use_cases import accounts, profile
from services.accounts.use_cases.profile import Profile
from tests.support import people
from tests.support.people import NETWORK


async def test_people_correct_what_is_wrong_and_it_is_written_down_once(ports: Ports) -> None:
    person = await people.signed_up(ports)
    wish = Profile(name=" Ada King ", company="", country="FR")

    for _ in range(2):
        await profile.correct(ports, person.id, wish, NETWORK)

    now = await profile.show(ports, person.id)
    assert (now.name, now.company, now.country) == ("Ada King", None, "FR")
    assert (await accounts.show(ports, person.account_id)).account.name == "Ada King"
    changes = await people.changes(ports, person.account_id)
    assert changes.count("profile.changed") == 1


async def test_all_that_is_wrong_is_said_at_once(ports: Ports) -> None:
    person = await people.signed_up(ports)

    wish = Profile(name="\0", company="x" * 101, country="de")

    with pytest.raises(FieldErrors) as raised:
        await profile.correct(ports, person.id, wish, NETWORK)

    assert set(raised.value.fields) == {"name", "company", "country"}
    assert (await profile.show(ports, person.id)).name == "Ada Lovelace"


async def test_people_turn_notices_off_and_on_and_each_time_is_written_down(ports: Ports) -> None:
    person = await people.signed_up(ports)
    assert not person.wants_notices

    for wanted in (True, True, False, True):
        now = await profile.set_notices(ports, person.id, NETWORK, wanted=wanted)

    assert now.wants_notices
    changes = await people.changes(ports, person.account_id)
    assert changes[1:] == ["notices.accepted", "notices.declined", "notices.accepted"]
