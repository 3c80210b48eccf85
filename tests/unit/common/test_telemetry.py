"""What a process opens first; and that a share of traces is a share."""

from typing import Any

import msgspec
import pytest

from libs.common.settings import SettingsError, load
from libs.common.telemetry import Ratio
from services.accounts.settings import Settings as Accounts
from services.billing.settings import Settings as Billing
from services.executor.settings import DispatcherSettings, Settings, SimulatorSettings
from services.gateway.settings import Settings as Gateway

ALL = (Accounts, Billing, DispatcherSettings, Settings, SimulatorSettings, Gateway)


class Telling(msgspec.Struct, frozen=True):
    traces_ratio: Ratio = 0.1


@pytest.mark.parametrize("ratio", ["-0.1", "1.1", "nan", "much"])
def test_a_share_below_none_or_above_all_is_refused_at_the_start(ratio: str) -> None:
    with pytest.raises(SettingsError, match="REQRUN_TRACES_RATIO"):
        load(Telling, {"REQRUN_TRACES_RATIO": ratio})


@pytest.mark.parametrize("settings", ALL, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_process_can_trace_and_none_does_unless_told_where(settings: Any) -> None:
    defaults = {field.name: field.default for field in msgspec.structs.fields(settings)}

    assert defaults["traces_url"] == ""
    assert 0 < defaults["traces_ratio"] < 1
