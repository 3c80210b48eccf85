"""What is done once a night."""

from datetime import date, datetime

from sqlalchemy import BigInteger, Date, String, text
from sqlalchemy.orm import Mapped, mapped_column

from services.billing.models.base import MOMENT, Base


class Night(Base):
    """The last of a kind: who took it began at `begun_at`; `drift` is what it found and left."""

    __tablename__ = "nights"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    day: Mapped[date] = mapped_column(Date)
    begun_at: Mapped[datetime] = mapped_column(MOMENT)
    ended_at: Mapped[datetime | None] = mapped_column(MOMENT)
    drift: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
