"""What all tables of database `billing` share."""

from sqlalchemy import DateTime, String
from sqlalchemy.orm import DeclarativeBase

from libs.common.database import new_metadata
from libs.common.outbox import OUTBOX

ID = String(40)
MOMENT = DateTime(timezone=True)


class Base(DeclarativeBase):
    """The tables that only billing reads and writes."""

    metadata = new_metadata()


OUTBOX.to_metadata(Base.metadata)
