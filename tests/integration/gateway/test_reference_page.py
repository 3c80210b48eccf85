"""The reference page: complete, without a script, and of this origin alone."""

import re

import msgspec

from services.gateway.api import openapi, reference
from tests.support.gateways import Gateway

DOCUMENT = msgspec.json.decode(openapi.DOCUMENT)


async def test_the_page_and_its_style_are_served_to_everybody(gateway: Gateway) -> None:
    page = await gateway.client.get("/docs")
    style = await gateway.client.get("/docs.css")

    assert (page.status_code, page.content) == (200, reference.PAGE)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith(
        "default-src 'none'; style-src 'self'"
    )
    assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")


def test_it_has_every_operation_field_and_error_code() -> None:
    text = reference.PAGE.decode()

    for path, item in DOCUMENT["paths"].items():
        for operation in (one for name, one in item.items() if name != "parameters"):
            assert f'<h2 id="{operation["operationId"]}">' in text, path
            for response in operation["responses"].values():
                for code in response["content"]["application/json"]["examples"]:
                    assert f"{code}" in text
    for field in DOCUMENT["components"]["schemas"]["ChatCompletionBody"]["properties"]:
        assert f"<code>{field}</code>" in text


def test_it_loads_nothing_from_elsewhere_and_runs_nothing() -> None:
    text = reference.PAGE.decode()

    assert not re.search(r"<script|\son\w+=|style=|https?://", text)
    assert not re.search(rb"url\(|@import", reference.STYLE)
