"""Style sheet and scripts: read once, served under an address that changes with their content."""

import hashlib
from pathlib import Path
from typing import Final

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from libs.common.errors import NotFound

_FOLDER: Final = Path(__file__).parent / "assets"
_KINDS: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_FOR_EVER: Final = {
    "cache-control": "public, max-age=31536000, immutable",
    "x-content-type-options": "nosniff",
}
_FILES: Final = {
    file.name: file.read_bytes() for file in sorted(_FOLDER.iterdir()) if file.suffix in _KINDS
}
_MARKS: Final = {name: hashlib.sha256(content).hexdigest()[:12] for name, content in _FILES.items()}


def address(name: str) -> str:
    """Where the file is. KeyError where there is none: a template has it wrong."""
    return f"/assets/{_MARKS[name]}/{name}"


def route() -> HTTPRouteHandler:
    """`GET /assets/<mark>/<name>`."""

    @get("/assets/{mark:str}/{name:str}", sync_to_thread=False)
    def show(mark: FromPath[str], name: FromPath[str]) -> Response[bytes]:
        if _MARKS.get(name) != mark:
            raise NotFound("There is no such file. Reload the page.")
        kind = _KINDS[Path(name).suffix]
        return Response(_FILES[name], media_type=kind, headers=_FOR_EVER)

    return show
