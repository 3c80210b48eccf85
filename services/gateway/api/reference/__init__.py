"""The API's reference as a page, made from the OpenAPI document: no script, no other origin."""

import json
import re
from importlib.resources import files
from typing import Any, Final

import msgspec
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from services.gateway.api import openapi

Json = dict[str, Any]

METHODS: Final = ("get", "post", "delete")

_BOUNDS: Final = (
    (("minLength", "maxLength"), "{} to {} characters"),
    (("maxLength",), "at most {} characters"),
    (("minItems",), "at least {}"),
    (("minimum", "maximum"), "{} to {}"),
    (("default",), "default {}"),
)
_MEANINGS: Final = {
    "model": "The provider's model; with test keys it scripts the simulator.",
    "messages": "The conversation, as the provider takes it.",
    "stream": "Not supported yet: false, or left out.",
    "wait": "Answer with the result if it comes in time.",
    "wait_timeout": "Seconds to wait.",
    "idempotency_key": "One key, one request, however often it is sent.",
    "max_attempts": "Calls to the provider that may have been paid for.",
    "deadline_seconds": "After this no attempt begins.",
    "call_timeout": "Seconds that one call may take.",
}
_CODE: Final = re.compile(r"`([^`]+)`")


def render(document: Json) -> bytes:
    """The page. `document`: OpenAPI 3.1, as the gateway makes it."""
    template = _environment().from_string(_asset("reference.html"))
    operations = [
        _operation(document, path, method)
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]
    return template.render(info=document["info"], operations=operations).encode()


def _environment() -> Environment:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["example"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)
    environment.filters["prose"] = _prose
    return environment


def _prose(text: str) -> Markup:
    """A description, escaped; what stands between backticks is code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704  # escaped


def _asset(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _operation(document: Json, path: str, method: str) -> Json:
    item = document["paths"][path]
    found = item[method]
    body = found.get("requestBody", {}).get("content", {}).get("application/json")
    ok, *errors = found["responses"].items()
    return {
        "id": found["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": found["summary"],
        "description": found.get("description", ""),
        "parameters": [
            {**one, "about": _about(one["schema"])}
            for one in (*item.get("parameters", ()), *found.get("parameters", ()))
        ],
        "fields": _fields(document, body["schema"]) if body else [],
        "request": body["example"] if body else None,
        "answers": _examples(ok[1]),
        "errors": [(status, code) for status, response in errors for code in _examples(response)],
    }


def _examples(response: Json) -> Json:
    shown = response["content"]["application/json"]["examples"]
    return {name: example["value"] for name, example in shown.items()}


def _fields(document: Json, schema: Json) -> list[Json]:
    """The members of a body that mean something to us."""
    named = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    required = named.get("required", ())
    return [
        {
            "name": name,
            "required": name in required,
            "about": _about(field),
            "means": _MEANINGS[name],
        }
        for name, field in named["properties"].items()
    ]


def _about(schema: Json) -> str:
    """Type and bounds in words; null, which is the same as absent, goes without saying."""
    choices = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    chosen = choices[0]
    kind = str(chosen.get("type", "object"))
    if "enum" in chosen:
        kind = " or ".join(str(value) for value in chosen["enum"] if value is not None)
    said = {**{name: value for name, value in schema.items() if value is not None}, **chosen}
    bounds = []
    for names, words in _BOUNDS:
        if all(name in said for name in names):
            bounds.append(words.format(*(said.pop(name) for name in names)))
    return ", ".join((kind, *bounds))


PAGE: Final = render(msgspec.json.decode(openapi.DOCUMENT))
"""As it is served."""
STYLE: Final = _asset("reference.css").encode()
"""Its style sheet."""
