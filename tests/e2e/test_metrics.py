"""What running processes expose is what docs/metrics.md says, and each says which process it is."""

import asyncio
from typing import Final
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from deploy.grafana.inventory import inventory
from deploy.local.processes import INTERNAL
from deploy.local.site import port_name
from tests.support.stack import System

NOT_OURS: Final = {"mail", "paddle"}
"""Stand-ins of the local stack, which nobody watches."""


def read(system: System, name: str) -> dict[str, dict[str, str]]:
    """Metrics of ours by name, with the labels of one of their samples."""
    with urlopen(f"{system.stack.url(port_name(name, INTERNAL))}/metrics", timeout=10) as answer:  # noqa: S310  http, our own address
        text = answer.read().decode()
    return {
        family.name: family.samples[0].labels if family.samples else {}
        for family in text_string_to_metric_families(text)
        if family.name.startswith("reqrun_")
    }


async def test_running_processes_expose_what_is_documented_and_say_which_they_are(
    system: System,
) -> None:
    documented = {metric.name for metric in inventory()}
    seen: set[str] = set()
    for name in sorted({*system.stack.processes} - NOT_OURS):
        exposed = await asyncio.to_thread(read, system, name)
        assert exposed["reqrun_process_info"] == {"process": name}
        seen |= exposed.keys()

    assert seen == documented
