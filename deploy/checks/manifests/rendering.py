"""Rendering: every overlay by kustomize, the compose file by docker-compose."""

import os
import subprocess
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from deploy.checks.manifests.objects import Object, Overlay

ROOT: Final = Path(__file__).resolve().parents[3]
KUBERNETES: Final = ROOT / "deploy" / "k8s"
COMPOSE: Final = ROOT / "docker-compose.yml"

_SECONDS: Final = 60


class NotRendered(Exception):
    """A tool refused; the text is its own."""


def installations(folder: Path = KUBERNETES) -> list[Overlay]:
    """Each folder of `overlays/` with the servers and migrations in it. Raises NotRendered."""
    tops = sorted(one for one in (folder / "overlays").iterdir() if one.is_dir())
    return [Overlay(top.name, _together(top)) for top in tops]


def _together(top: Path) -> list[Object]:
    """Everything that is applied, each object once."""
    files = sorted(top.rglob("kustomization.yaml"))
    folders = [file.parent for file in files if "kind: Kustomization" in file.read_text("utf-8")]
    found = {(one["kind"], one["metadata"]["name"]): one for at in folders for one in render(at)}
    return list(found.values())


def render(folder: Path) -> list[Object]:
    """What kustomize makes of one folder. Raises NotRendered."""
    text = _run(["kubectl", "kustomize", str(folder)])
    return [found for found in yaml.load_all(text, yaml.CSafeLoader) if found]


def compose(file: Path = COMPOSE) -> dict[str, Any]:
    """The compose file as docker-compose understands it, held to its schema. Raises NotRendered."""
    command = ["docker-compose", "--file", str(file), "config", "--format", "json"]
    known: dict[str, Any] = msgspec.json.decode(_run([*command, "--no-interpolate"]))
    return known


def lint_dockerfile(file: Path) -> list[str]:
    """What hadolint says of it, a line a fault."""
    try:
        _run(["hadolint", "--no-color", str(file)])
    except NotRendered as refused:
        return str(refused).splitlines()
    return []


def _run(command: Iterable[str]) -> str:
    """A tool of the environment's own, by its full path: none that happens to be on the machine."""
    name, *arguments = command
    tool = Path(sysconfig.get_path("scripts")) / name
    if not tool.exists():
        raise NotRendered(f"{name} is not installed: it comes with requirements-dev.lock")
    done = subprocess.run(  # noqa: S603  the command is ours
        [str(tool), *arguments],
        env={"PATH": os.defpath, "HOME": os.devnull},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise NotRendered(done.stderr.strip() or done.stdout.strip())
    return done.stdout
