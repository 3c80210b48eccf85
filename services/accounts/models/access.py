"""What opens something: data keys, API keys, provider connections."""

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from services.accounts.domain.keys import Mode
from services.accounts.models.accounts import Project
from services.accounts.models.base import ID, MOMENT, NAME, Base


class SealedDataKey(Base):
    """A project's data key, which opens only in the data plane.

    A table of its own, because it is dumped apart and its dumps are kept for seven days at most:
    who destroys the row destroys the content (decision 0009).
    """

    __tablename__ = "data_keys"

    project_id: Mapped[str] = mapped_column(ID, ForeignKey(Project.id), primary_key=True)
    sealed_key: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(MOMENT)


class ApiKey(Base):
    """A key as its digest under the pepper named by `pepper_id`; the key itself is not kept."""

    __tablename__ = "api_keys"
    __table_args__ = (
        UniqueConstraint("digest"),
        CheckConstraint("octet_length(digest) = 32", name="digest_length"),
        CheckConstraint("mode IN ('live', 'test')", name="mode"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    project_id: Mapped[str] = mapped_column(ID, ForeignKey(Project.id), index=True)
    name: Mapped[str] = mapped_column(NAME)
    mode: Mapped[Mode] = mapped_column(String(4))
    purpose: Mapped[str] = mapped_column(String(20))
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    pepper_id: Mapped[int] = mapped_column(SmallInteger)
    prefix: Mapped[str] = mapped_column(String(20))
    last_four: Mapped[str] = mapped_column(String(4))
    is_drop_in: Mapped[bool] = mapped_column(default=False)
    needs_signature: Mapped[bool] = mapped_column(default=False)
    sealed_signing_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(MOMENT)
    expires_at: Mapped[datetime | None] = mapped_column(MOMENT)
    revoked_at: Mapped[datetime | None] = mapped_column(MOMENT)
    last_used_at: Mapped[datetime | None] = mapped_column(MOMENT)
    rotated_at: Mapped[datetime | None] = mapped_column(MOMENT)


class ProviderConnection(Base):
    """A project's provider. `sealed_key` opens only in an executor; `key_hint` is for people."""

    __tablename__ = "provider_connections"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    project_id: Mapped[str] = mapped_column(ID, ForeignKey(Project.id), unique=True)
    base_url: Mapped[str] = mapped_column(String(500))
    sealed_key: Mapped[bytes] = mapped_column(LargeBinary)
    key_hint: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(MOMENT)
    updated_at: Mapped[datetime] = mapped_column(MOMENT)
