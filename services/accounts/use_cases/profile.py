"""What somebody says of themselves, corrected; and which mails they want."""

import msgspec

from services.accounts.domain.audit import Change
from services.accounts.domain.countries import check_country
from services.accounts.domain.forms import Fields
from services.accounts.domain.names import check_name
from services.accounts.models import Person
from services.accounts.ports import Ports
from services.accounts.repositories.accounts import AccountRepository
from services.accounts.repositories.audit import AuditRepository, by_person
from services.accounts.repositories.people import PeopleRepository


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """As somebody typed it. `company`: may be nothing. `country`: its code."""

    name: str
    company: str = ""
    country: str


async def show(ports: Ports, person_id: str) -> Person:
    """Who that is now."""
    async with ports.db.transaction() as tx:
        return await PeopleRepository(tx).get(person_id)


async def correct(ports: Ports, person_id: str, wish: Profile, network: str) -> Person:
    """Right what is wrong or has changed; the account bears their name. Raises FieldErrors."""
    right = _checked(wish)
    async with ports.db.transaction() as tx:
        person = await PeopleRepository(tx).lock(person_id)
        if right != Profile(name=person.name, company=person.company or "", country=person.country):
            person.name, person.country = right.name, right.country
            person.company = right.company or None
            account = await AccountRepository(tx).get(person.account_id)
            account.name = right.company or right.name
            entry = by_person(Change.PROFILE_CHANGED, person, network)
            AuditRepository(tx).add(entry, at=ports.clock.now())
        return person


async def set_notices(ports: Ports, person_id: str, network: str, *, wanted: bool) -> Person:
    """Whether they want mails about their usage. Written down each time it changes."""
    async with ports.db.transaction() as tx:
        person = await PeopleRepository(tx).lock(person_id)
        if person.wants_notices != wanted:
            person.wants_notices = wanted
            what = Change.NOTICES_ACCEPTED if wanted else Change.NOTICES_DECLINED
            entry = by_person(what, person, network)
            AuditRepository(tx).add(entry, at=ports.clock.now())
        return person


def _checked(wish: Profile) -> Profile:
    fields = Fields()
    with fields.check("name"):
        name = check_name(wish.name)
    with fields.check("company"):
        company = check_name(wish.company) if wish.company.strip() else ""
    with fields.check("country"):
        country = check_country(wish.country)
    fields.end()
    return Profile(name=name, company=company, country=country)
