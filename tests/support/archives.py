"""Unpacking what our own programs packed."""

import tarfile
from pathlib import Path


def unpack(packed: tarfile.TarFile, folder: Path) -> None:
    """Into a folder, with no more than plain files; Debian 12's Python cannot promise that yet."""
    if hasattr(tarfile, "data_filter"):
        packed.extraction_filter = tarfile.data_filter
    packed.extractall(folder)  # noqa: S202  # our own
