"""Folders and accounts for servers that refuse to run as root.

PostgreSQL refuses root, and the others should not have it. As root every server runs under the
account its package made; as anybody else it runs as the caller.
"""

import os
import pwd
import shutil
import stat
import tempfile
from pathlib import Path

_STATE = Path("/var/lib")


def account_for(package_account: str) -> str | None:
    """The account a server runs under; None means the caller's own. KeyError when it is missing."""
    if os.geteuid() != 0:
        return None
    return pwd.getpwnam(package_account).pw_name


def is_reachable(folder: Path) -> bool:
    """Whether every account may pass through this existing folder and all folders above it."""
    parents = (folder, *folder.parents)
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in parents)


def server_folder(folder: Path) -> Path:
    """Make `folder` for server data and return where the data really is.

    A clone may lie under a home that only its owner can enter. Root's servers run under other
    accounts, so their data then lives in /var/lib and `folder` is a link to it. The name is new
    each time: what a deleted or moved installation has left there is never taken for ours.
    """
    folder = folder.absolute()
    if folder.exists():
        return folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0 or is_reachable(folder.parent.resolve()):
        folder.mkdir(mode=0o711)
        return folder.resolve()
    real = Path(tempfile.mkdtemp(prefix="reqrun-local-", dir=_STATE))
    real.chmod(0o711)
    folder.symlink_to(real)
    return real


def remove_server_folder(folder: Path) -> None:
    """Undo `server_folder`, with all that is inside. Harmless when there is none."""
    if folder.is_symlink():
        shutil.rmtree(folder.resolve(), ignore_errors=True)
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def own(path: Path, account: str | None, mode: int) -> None:
    """Give a file or folder to a server's account, with exactly this mode."""
    if account is not None:
        entry = pwd.getpwnam(account)
        os.chown(path, entry.pw_uid, entry.pw_gid)
    path.chmod(mode)


def make_folder(path: Path, account: str | None) -> Path:
    """A folder that only the server's account can enter."""
    path.mkdir(parents=True, exist_ok=True)
    own(path, account, 0o700)
    return path


def write_private(path: Path, text: str, account: str | None = None) -> None:
    """Write a file that only its owner can read, never readable by others in between."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    own(path, account, 0o600)
