"""What was used."""

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    Index,
    Integer,
    SmallInteger,
    String,
    Text,
)
from sqlalchemy.orm import Mapped, mapped_column

from services.billing.models.base import ID, MOMENT, Base


class UsageRecord(Base):
    """One final live request, once. It may arrive before its account: facts have no order.

    `period`: the first day of the month (UTC) it was accepted in; whole months are dropped.
    """

    __tablename__ = "usage_records"
    __table_args__ = (
        CheckConstraint("state IN ('completed', 'failed', 'cancelled')", name="state"),
        CheckConstraint(
            "least(attempts, prompt_tokens, completion_tokens, total_tokens) >= 0",
            name="counts_are_not_negative",
        ),
        Index("ix_usage_records_account_id_created_at", "account_id", "created_at"),
        Index("ix_usage_records_period", "period", postgresql_using="brin"),
    )

    request_id: Mapped[str] = mapped_column(ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(ID)
    project_id: Mapped[str] = mapped_column(ID)
    endpoint: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(10))
    attempts: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(MOMENT)
    finished_at: Mapped[datetime] = mapped_column(MOMENT)
    prompt_tokens: Mapped[int] = mapped_column(Integer)
    completion_tokens: Mapped[int] = mapped_column(Integer)
    total_tokens: Mapped[int] = mapped_column(Integer)
    period: Mapped[date] = mapped_column(Date)


class Summed:
    """Of an account's requests that ended in one state; what they are summed by stands between."""

    account_id: Mapped[str] = mapped_column(ID, primary_key=True, sort_order=-1)
    state: Mapped[str] = mapped_column(String(10), primary_key=True, sort_order=1)
    requests: Mapped[int] = mapped_column(BigInteger, sort_order=2)
    attempts: Mapped[int] = mapped_column(BigInteger, sort_order=2)
    prompt_tokens: Mapped[int] = mapped_column(BigInteger, sort_order=2)
    completion_tokens: Mapped[int] = mapped_column(BigInteger, sort_order=2)
    total_tokens: Mapped[int] = mapped_column(BigInteger, sort_order=2)


class UsageDay(Summed, Base):
    """Sum of the records of a day (UTC, of acceptance). A trigger on the records keeps it."""

    __tablename__ = "usage_days"
    __table_args__ = (Index("ix_usage_days_day", "day", postgresql_using="brin"),)

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    project_id: Mapped[str] = mapped_column(ID, primary_key=True)
    model: Mapped[str] = mapped_column(Text, primary_key=True)


class UsageAccountDay(Summed, Base):
    """The same without projects and models: three rows a day, whatever names callers make up."""

    __tablename__ = "usage_account_days"
    __table_args__ = (Index("ix_usage_account_days_day", "day", postgresql_using="brin"),)

    day: Mapped[date] = mapped_column(Date, primary_key=True)


class UsageNotice(Base):
    """What an account was told of its limit, once a period, percent and allowed number."""

    __tablename__ = "usage_notices"

    account_id: Mapped[str] = mapped_column(ID, primary_key=True)
    period: Mapped[date] = mapped_column(Date, primary_key=True)
    percent: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    allowed: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    told_at: Mapped[datetime] = mapped_column(MOMENT)


class UsageSum(Summed, Base):
    """What a deleted account used in a month, of requests that ended in one state. Nothing else."""

    __tablename__ = "usage_sums"

    period: Mapped[date] = mapped_column(Date, primary_key=True)
