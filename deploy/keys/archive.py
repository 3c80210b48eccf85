"""A backup: one archive of all files, read back before anybody is told that it is there."""

import io
import os
import tarfile
from pathlib import Path
from typing import Final

from deploy.keys import folder as key_folder
from deploy.keys.findings import inspect
from deploy.keys.folder import FILES, KeysRefused

_MODE: Final = 0o600


def backup(folder: Path, target: Path) -> int:
    """Write `target`, which was not there before; the number of files in it. Raises KeysRefused."""
    broken = [finding.item for finding in inspect(folder) if not finding.is_good]
    if broken:
        raise KeysRefused(f"Not backed up: something is wrong with {', '.join(broken)}.")
    contents = {name: (folder / name).read_bytes() for name in FILES}
    try:
        key_folder.write(target, _packed(contents))
    except OSError as error:
        raise KeysRefused(f"{target} cannot be written: {error.strerror}.") from None
    if _unpacked(target) != contents:
        target.unlink()
        raise KeysRefused(f"{target} did not read back as it was written, and was removed.")
    return len(contents)


def _packed(contents: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), _MODE
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _unpacked(target: Path) -> dict[str, bytes]:
    descriptor = os.open(target, os.O_RDONLY)
    with os.fdopen(descriptor, "rb") as opened, tarfile.open(fileobj=opened, mode="r") as archive:
        members = archive.getmembers()
        files = {member.name: archive.extractfile(member) for member in members}
        return {name: file.read() for name, file in files.items() if file is not None}
