"""What all tables of database `accounts` share."""

from sqlalchemy import DateTime, String
from sqlalchemy.orm import DeclarativeBase

from libs.common.database import new_metadata
from libs.common.outbox import OUTBOX
from services.accounts.domain.emails import LONGEST as LONGEST_EMAIL

ID = String(40)
NAME = String(100)
EMAIL = String(LONGEST_EMAIL)
MOMENT = DateTime(timezone=True)


class Base(DeclarativeBase):
    """The tables that only accounts reads and writes."""

    metadata = new_metadata()


OUTBOX.to_metadata(Base.metadata)
