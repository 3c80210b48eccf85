"""Checks of keys: the material is whole and private, everybody knows whom to believe."""

import asyncio
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from deploy.keys import findings, use
from deploy.keys import folder as key_folder
from deploy.keys.folder import KeysRefused
from deploy.keys.material import SERVICES
from deploy.operator.doctor.check import Check, Unable, Verdict, fail, ok
from deploy.operator.settings import DatabaseSettings
from libs.common.settings import SECRETS, SettingsError, load
from libs.common.tokens import PublicServiceKey

_NO_FOLDER: Final = "no key material here (REQRUN_KEY_FOLDER); check it where it is kept"
_DO: Final = "`reqrun keys material check` says which; docs/operations.md, Keys"


class Believed(msgspec.Struct, frozen=True, kw_only=True):
    """Of a service's settings, whose tokens it takes."""

    service_public_keys: dict[str, PublicServiceKey] = msgspec.field(default_factory=dict)


Environs = Mapping[str, Mapping[str, str]]
"""By whose they are."""


def checks(folder: str, environs: Environs, own: Mapping[str, str]) -> Iterator[Check]:
    """`environs`: of the services whose settings we know; `own`: of this program."""
    yield Check("keys: material", lambda: _check_folder(folder))
    yield Check("keys: in use", lambda: _check_use(folder, environs["accounts"]))
    for name, environ in environs.items():
        yield Check(f"keys: public halves, {name}", _Public(environ, folder))
    yield Check("keys: mounted secrets", lambda: _check_mounts({**environs, "": own}))


async def _check_folder(folder: str) -> Verdict:
    if not folder:
        raise Unable(_NO_FOLDER)
    return _judge(await asyncio.to_thread(findings.inspect, Path(folder)))


async def _check_use(folder: str, environ: Mapping[str, str]) -> Verdict:
    if not folder:
        raise Unable(_NO_FOLDER)
    try:
        url = load(DatabaseSettings, environ).database_url
        return _judge(await use.inspect(url.reveal(), key_folder.load(Path(folder))))
    except (SettingsError, KeysRefused) as refused:
        raise Unable(str(refused)) from None


def _judge(found: list[findings.Finding]) -> Verdict:
    bad = [f"{one.item} {one.says}" for one in found if not one.is_good]
    return fail("; ".join(bad), _DO) if bad else ok(f"{len(found)} items, all good")


class _Public:
    """Whether one service knows the newest public half of each."""

    def __init__(self, environ: Mapping[str, str], folder: str) -> None:
        self._environ, self._folder = environ, folder

    async def __call__(self) -> Verdict:
        try:
            known = load(Believed, self._environ).service_public_keys
        except SettingsError as refused:
            return fail(str(refused), _DO)
        if not known:
            raise Unable("its REQRUN_SERVICE_PUBLIC_KEYS are not known here")
        issuers = {key.issuer for key in known.values()}
        missing = [name for name in SERVICES if name not in issuers]
        missing += [f"the newest of {name}" for name in _unknown(self._folder, known)]
        if missing:
            return fail(f"does not know {', '.join(missing)}", "give it every public half; restart")
        return ok(f"knows all {len(issuers)} services")


def _unknown(folder: str, known: Mapping[str, PublicServiceKey]) -> list[str]:
    try:
        services = key_folder.load(Path(folder)).services if folder else {}
    except KeysRefused:
        return []  # told by the check of the material
    return [name for name, pair in services.items() if pair.key_id not in known]


async def _check_mounts(environs: Environs) -> Verdict:
    folders = {Path(one[SECRETS]) for one in environs.values() if one.get(SECRETS)}
    if not folders:
        raise Unable("secrets come as variables here")
    if environs[""].get("REQRUN_ENV") == "local":
        raise Unable("on one machine a volume that only its containers mount keeps others out")
    files = [file for folder in sorted(folders) for file in sorted(folder.glob("REQRUN_*"))]
    open_ = [file.name for file in files if stat.S_IMODE(file.stat().st_mode) & stat.S_IRWXO]
    if open_:
        return fail(f"everybody may read {', '.join(open_)}", "mount them with mode 0440")
    return ok(f"{len(files)} files, for their owner and group")
