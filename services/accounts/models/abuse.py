"""What looks like abuse, counted by hour and network. No address, no e-mail, no account."""

from datetime import datetime

from sqlalchemy import Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from services.accounts.domain.abuse import Signal
from services.accounts.models.base import MOMENT, Base


class AbuseSignal(Base):
    """How often something happened from one network, truncated, within the hour of `started_at`."""

    __tablename__ = "abuse_signals"

    what: Mapped[Signal] = mapped_column(String(40), primary_key=True)
    network: Mapped[str] = mapped_column(String(50), primary_key=True)
    started_at: Mapped[datetime] = mapped_column(MOMENT, primary_key=True, index=True)
    count: Mapped[int] = mapped_column(Integer)
