"""An export of an account, as a browser saves it."""

import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import msgspec

from bench.pages.customer import PASSWORD, Customer
from bench.pages.measure import PageTimes, measure
from bench.pages.scene import FIRST_REQUESTS, Scene
from deploy.local.programs import ProgramFailed

_PAGE = "/settings/data"
_TIMES = 30


class ExportTimes(msgspec.Struct, frozen=True, kw_only=True):
    """`first_byte` and `whole` in seconds. `beside`: a page of somebody else's meanwhile."""

    requests: int
    first_byte: float
    whole: float
    bytes: int
    beside: PageTimes


def take_along(customer: Customer, requests: int) -> tuple[float, float, int]:
    """Seconds to the first byte and to the last, and bytes. ProgramFailed: not all is in it."""
    file, began_at, first = BytesIO(), time.monotonic(), 0.0
    with customer.stream(_PAGE, f"{_PAGE}/export", password=PASSWORD) as answer:
        for piece in answer.iter_raw():
            first = first or time.monotonic() - began_at
            file.write(piece)
    whole = time.monotonic() - began_at
    with zipfile.ZipFile(file) as archive:
        [name] = [one for one in archive.namelist() if one.endswith("-live.json")]
        found = msgspec.json.decode(archive.read(name), type=list[msgspec.Raw])
        if len(found) != requests or "requests/INCOMPLETE.txt" in archive.namelist():
            raise ProgramFailed(f"the export holds {len(found)} of {requests} requests")
    return first, whole, len(file.getvalue())


def export_beside(scene: Scene, requests: int) -> ExportTimes:
    """One customer exports while another looks at a list. ProgramFailed."""
    path = f"/projects/{scene.ids.project}/requests"
    with ThreadPoolExecutor(max_workers=1) as pool:
        taking = pool.submit(take_along, scene.leaving, requests + FIRST_REQUESTS)
        beside = measure(scene.customer.client, path, _TIMES, scene.roots)
        first_byte, whole, size = taking.result()
    return ExportTimes(
        requests=requests, first_byte=first_byte, whole=whole, bytes=size, beside=beside
    )
