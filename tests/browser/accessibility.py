"""axe: what of WCAG 2.2 A and AA, and of good practice, a program can see."""

from pathlib import Path
from typing import Any, Final

from playwright.async_api import Page

_AXE: Final = (Path(__file__).parent / "vendor" / "axe-4.14.1.min.js").read_text()
_TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]
_RUN: Final = """
(tags) => axe.run(document, {
  runOnly: { type: "tag", values: tags },
  rules: { "target-size": { enabled: true } },
  resultTypes: ["violations"],
})
"""


async def violations(page: Page) -> list[str]:
    """Each with the element that it is about."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(_AXE)
    found: dict[str, Any] = await page.evaluate(_RUN, _TAGS)
    return [
        f"{one['id']}: {one['help']}: {node['html'][:200]} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]
