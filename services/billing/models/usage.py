"""What was used."""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Date, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from services.billing.models.base import ID, MOMENT, Base


class UsageRecord(Base):
    """One final live request, once. It may arrive before its account: facts have no order."""

    __tablename__ = "usage_records"
    __table_args__ = (
        CheckConstraint("state IN ('completed', 'failed', 'cancelled')", name="state"),
        CheckConstraint(
            "least(attempts, prompt_tokens, completion_tokens, total_tokens) >= 0",
            name="counts_are_not_negative",
        ),
        Index("ix_usage_records_account_id_period", "account_id", "period"),
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


class UsageSum(Base):
    """What a deleted account used in a month, of requests that ended in one state. Nothing else."""

    __tablename__ = "usage_sums"

    account_id: Mapped[str] = mapped_column(ID, primary_key=True)
    period: Mapped[date] = mapped_column(Date, primary_key=True)
    state: Mapped[str] = mapped_column(String(10), primary_key=True)
    requests: Mapped[int] = mapped_column(BigInteger)
    attempts: Mapped[int] = mapped_column(BigInteger)
    prompt_tokens: Mapped[int] = mapped_column(BigInteger)
    completion_tokens: Mapped[int] = mapped_column(BigInteger)
    total_tokens: Mapped[int] = mapped_column(BigInteger)
