"""The executor's settings; each field is a variable `REQRUN_<FIELD>`."""

from datetime import timedelta

import msgspec

from libs.common.settings import Secret
from libs.common.telemetry import Ratio
from libs.common.tokens import PublicServiceKey


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """For `worker`.

    `executor_name`: in leases and attempts; must differ between running workers (empty: made up).
    `places`: calls under way at once. `backoff_scale`: stretches our own pauses, 1 in production.
    `simulator_url`: where test-mode requests go. `sealing_keys`: base64 X25519 private keys that
    provider keys are sealed to, comma separated, newest first; `data_plane_keys`: the same for
    projects' data keys, which gateways have too. `service_public_keys`: who may ask us, by key id.
    `open_hosts`: provider hosts that may have a private address. `grace`: how long running calls
    get at a stop.
    """

    env: str = "local"
    log_level: str = "info"
    traces_url: str = ""
    traces_ratio: Ratio = 0.1
    host: str = "127.0.0.1"
    internal_port: int
    ledger_url: Secret
    broker_url: Secret
    redis_url: Secret
    accounts_url: str
    service_key: Secret
    service_key_id: str
    sealing_keys: Secret
    data_plane_keys: Secret
    service_public_keys: dict[str, PublicServiceKey]
    simulator_url: str
    executor_name: str = ""
    open_hosts: tuple[str, ...] = ()
    places: int = 256
    backoff_scale: float = 1.0
    answer_bytes: int = 16 * 1024 * 1024
    grace: timedelta = timedelta(seconds=630)


class DispatcherSettings(msgspec.Struct, frozen=True, kw_only=True):
    """For `dispatcher`."""

    env: str = "local"
    log_level: str = "info"
    traces_url: str = ""
    traces_ratio: Ratio = 0.1
    host: str = "127.0.0.1"
    internal_port: int
    ledger_url: Secret
    broker_url: Secret
    redis_url: Secret
    accounts_url: str
    service_key: Secret
    service_key_id: str
    backoff_scale: float = 1.0


class SimulatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """For `simulator`.

    `call_log`: a file that gets a line at the start and the end of each call. `has_controls`: the
    paths with which tests script it; never in production.
    """

    log_level: str = "info"
    traces_url: str = ""
    traces_ratio: Ratio = 0.1
    host: str = "127.0.0.1"
    port: int
    internal_port: int
    call_log: str = ""
    has_controls: bool = False
