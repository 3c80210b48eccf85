"""The API's schemas: of two versions of Kubernetes, and of the operators' custom resources.

Kubernetes' own come with kubernetes-validate. Of the operators none come with a package: what we
use of their resources is in custom_resources.py, and `--crds FOLDER` takes the definitions of a
real cluster (`kubectl get crd -o yaml`).
"""

import functools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]  # no types
import yaml
from referencing import Registry, Resource

from deploy.checks.manifests import custom_resources
from deploy.checks.manifests.objects import Finding, Object, Overlay, finding, title

VERSIONS: Final = ("1.32", "1.37")
"""The oldest that the manifests are for, and the newest."""

Schema = dict[str, Any]


def is_custom(found: Object) -> bool:
    """Whether it is an operator's: its group is none of Kubernetes' own."""
    group = str(found["apiVersion"]).rpartition("/")[0]
    return "." in group and not group.endswith(".k8s.io")


def check(overlay: Overlay, version: str) -> Finding:
    """Kubernetes' own objects, strictly: a field that is not known is a fault."""
    own = [found for found in overlay.objects if not is_custom(found)]
    faults = (f"{title(found)}: {fault}" for found in own for fault in _faults(found, version))
    return finding(f"{overlay.name}: API of Kubernetes {version}", own, faults)


def check_custom(overlay: Overlay) -> Finding:
    """Operators' resources, against what we use of them."""
    custom = [found for found in overlay.objects if is_custom(found)]
    faults = (f"{title(one)}: {text}" for one in custom for text in custom_resources.faults(one))
    return finding(f"{overlay.name}: operators' resources, the fields we use", custom, faults)


def check_definitions(overlay: Overlay, definitions: dict[tuple[str, str], Schema]) -> Finding:
    """Operators' resources, against the definitions of a cluster. One without is a fault."""
    custom = [found for found in overlay.objects if is_custom(found)]
    faults = (f"{title(one)}: {text}" for one in custom for text in _custom(one, definitions))
    return finding(f"{overlay.name}: operators' resources, given definitions", custom, faults)


def read_definitions(folder: Path) -> dict[tuple[str, str], Schema]:
    """Definitions in a folder of YAML files, by `apiVersion` and kind, made strict."""
    texts = (file.read_text("utf-8") for file in sorted(folder.glob("*.yaml")))
    documents = (one for text in texts for one in yaml.load_all(text, yaml.CSafeLoader) if one)
    return dict(_read(documents))


def _read(documents: Iterable[Object]) -> Iterator[tuple[tuple[str, str], Schema]]:
    for document in documents:
        for item in document.get("items", [document]):
            if item["kind"] != "CustomResourceDefinition":
                continue
            spec = item["spec"]
            for version in spec["versions"]:
                names = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                yield names, _strict(version["schema"]["openAPIV3Schema"])


def _strict(schema: Any) -> Any:
    """The same schema, where a field that is not known is a fault."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _strict(one) for name, one in schema.items()}
    is_closed = isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema
    if is_closed and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made["additionalProperties"] = False
    return made


def _faults(found: Object, version: str) -> list[str]:
    validator = _validator(found["apiVersion"], found["kind"], version)
    if validator is None:
        return [f"Kubernetes {version} has no {found['apiVersion']} {found['kind']}"]
    return [_text(error) for error in validator.iter_errors(found)]


@functools.cache
def _validator(api_version: str, kind: str, version: str) -> jsonschema.Draft202012Validator | None:
    """Strict; None where that version has no such kind."""
    group, _, number = api_version.rpartition("/")
    name = "-".join([kind.lower(), *([group.split(".")[0]] if group else []), number])
    file = _folder(version) / f"{name}.json"
    if not file.exists():
        return None
    own = Resource.from_contents(json.loads(file.read_text("utf-8")))
    registry = own @ _definitions(version)
    return jsonschema.Draft202012Validator(own.contents, registry=registry)


@functools.cache
def _definitions(version: str) -> "Registry[Any]":
    """What all schemas of a version refer to: a megabyte, read once."""
    text = (_folder(version) / "_definitions.json").read_text("utf-8")
    registry: Registry[Any] = Resource.from_contents(json.loads(text)) @ Registry()
    return registry


def _folder(version: str) -> Path:
    """Where kubernetes-validate has them. It reads that megabyte for each object."""
    package = Path(kubernetes_validate.__file__).parent
    return package / "kubernetes-json-schema" / f"v{version}.0-local-strict"


def _custom(found: Object, definitions: dict[tuple[str, str], Schema]) -> Iterator[str]:
    schema = definitions.get((found["apiVersion"], found["kind"]))
    if schema is None:
        yield "there is no definition of this kind"
        return
    body = {**found, "metadata": {}}
    validator = jsonschema.Draft7Validator(json.loads(json.dumps(schema)))
    yield from (_text(error) for error in validator.iter_errors(body))


def _text(error: jsonschema.ValidationError) -> str:
    return f"{'.'.join(str(part) for part in error.absolute_path)}: {error.message}"
