"""What our own commands work with."""

from typing import Any

import msgspec

from deploy.operator.installation import Installation
from deploy.operator.screen import Screen
from deploy.operator.settings import Settings
from libs.common.clock import Clock
from libs.common.settings import Secret, SettingsError, load


class Desk(msgspec.Struct, frozen=True):
    """`installation`: whose settings are known; `clock`: ours."""

    installation: Installation
    screen: Screen
    clock: Clock

    @property
    def settings(self) -> Settings:
        """Our own. Raises SettingsError."""
        return load(Settings, self.installation.own)

    def needed(self, name: str) -> Any:
        """One of our settings that a command cannot do without. Raises SettingsError."""
        value = getattr(self.settings, name)
        if value in ("", Secret(""), ()):
            raise SettingsError(f"REQRUN_{name.upper()} is not set")
        return value
