"""Key material in a folder: one file an item, for its owner's eyes only."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from deploy.keys import material
from deploy.keys.material import Material, Pepper, SealingPair, ServicePair

PEPPERS: Final = "api-key-peppers.json"
EXECUTOR: Final = "executor-sealing-keys.json"
DATA_PLANE: Final = "data-plane-keys.json"
_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600

T = TypeVar("T")


class KeysRefused(Exception):
    """Not done, and nothing was changed; the text says why, and never holds a key."""


def service_file(service: str) -> str:
    """The name of a service's own key file."""
    return f"service-{service}.json"


FILES: Final[Mapping[str, Any]] = {
    PEPPERS: tuple[Pepper, ...],
    EXECUTOR: tuple[SealingPair, ...],
    DATA_PLANE: tuple[SealingPair, ...],
    **{service_file(service): ServicePair for service in material.SERVICES},
}
"""Every file, and what is in it."""


def create(folder: Path) -> Material:
    """Make all material, or nothing: raises KeysRefused where there is anything already."""
    draft = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(draft, ignore_errors=True)  # of a try that was interrupted
    draft.mkdir(mode=_FOLDER_MODE, parents=True)
    made = material.new()
    for name, content in _contents(made).items():
        write(draft / name, msgspec.json.encode(content))
    try:
        draft.rename(folder)  # onto an empty folder at the most, says POSIX
    except OSError:
        shutil.rmtree(draft)
        raise KeysRefused(f"There is something in {folder} already; it stays as it is.") from None
    _sync(folder)
    _sync(folder.parent)
    return made


def load(folder: Path) -> Material:
    """All of it. Raises KeysRefused that names the file which is missing or unreadable."""
    return Material(
        peppers=read(folder / PEPPERS, tuple[Pepper, ...]),
        executor=read(folder / EXECUTOR, tuple[SealingPair, ...]),
        data_plane=read(folder / DATA_PLANE, tuple[SealingPair, ...]),
        services={
            service: read(folder / service_file(service), ServicePair)
            for service in material.SERVICES
        },
    )


def read(file: Path, kind: type[T]) -> T:
    """One file. Raises KeysRefused."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except OSError as error:
        raise KeysRefused(f"{file.name} cannot be read: {error.strerror}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise KeysRefused(f"{file.name} does not hold what it should.") from None


def rotate_pepper(folder: Path) -> Material:
    """Put a new pepper first; API keys move to it as they are used."""
    known = load(folder)
    newest = material.new_pepper(max((pepper.id for pepper in known.peppers), default=0) + 1)
    return replace(folder, known, PEPPERS, (newest, *known.peppers))


def rotate_executor(folder: Path) -> Material:
    """Put a new executor sealing key first; `keys reseal` moves provider keys to it."""
    known = load(folder)
    return replace(folder, known, EXECUTOR, (material.new_sealing_pair(), *known.executor))


def rotate_data_plane(folder: Path) -> Material:
    """Put a new data plane key first; `keys reseal` moves signing secrets and data keys to it."""
    known = load(folder)
    return replace(folder, known, DATA_PLANE, (material.new_sealing_pair(), *known.data_plane))


def write(file: Path, content: bytes) -> None:
    """Make a file that was not there and that only its owner can read; on disk when it returns."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def replace(folder: Path, known: Material, name: str, content: tuple[Any, ...]) -> Material:
    """Write one file anew; the old one is whole until the new one is. What there is then."""
    draft = folder / f".{name}.new"
    draft.unlink(missing_ok=True)
    write(draft, msgspec.json.encode(content))
    draft.replace(folder / name)
    _sync(folder)
    field = {PEPPERS: "peppers", EXECUTOR: "executor", DATA_PLANE: "data_plane"}[name]
    return msgspec.structs.replace(known, **{field: content})


def _sync(folder: Path) -> None:
    """What was renamed into it is there after a power cut too: keys may seal from now on."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _contents(made: Material) -> dict[str, Any]:
    of_services = {service_file(service): key for service, key in made.services.items()}
    own = {PEPPERS: made.peppers, EXECUTOR: made.executor, DATA_PLANE: made.data_plane}
    return own | of_services
