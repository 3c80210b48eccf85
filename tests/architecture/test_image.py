"""The image's file system, laid out by hand: libs/ and one service start; a second is not there."""

import re
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
SERVICES = ("gateway", "executor", "accounts", "billing")


def copied(service: str) -> list[tuple[str, str]]:
    stage = DOCKERFILE.partition(" AS runtime")[2].partition("\nFROM ")[0]
    found = re.findall(r"^COPY (\S+) (\S+)$", stage.replace("${SERVICE}", service), re.MULTILINE)
    assert found, "the Dockerfile copies nothing"
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_from_what_its_image_holds(tmp_path: Path, service: str) -> None:
    for source, target in copied(service):
        place = tmp_path / target
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            place.mkdir(exist_ok=True)
            shutil.copy(ROOT / source, place)
    others = [one for one in SERVICES if one != service]

    started = subprocess.run(  # noqa: S603  our own Python
        [sys.executable, "-c", f"import services.{service}.__main__, services.{service}.app"],
        cwd=tmp_path,
        env={"PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert started.returncode == 0, started.stderr
    assert not any((tmp_path / "services" / other).exists() for other in others)


def laid_out(folder: Path, stages: tuple[str, ...]) -> None:
    """What the stages copy from the context, one after the other."""
    for name in stages:
        stage = DOCKERFILE.partition(f" AS {name}\n")[2].partition("\nFROM ")[0]
        for *sources, target in re.findall(r"^COPY (?!--)(.+) (\S+)$", stage, re.MULTILINE):
            for source in " ".join(sources).replace("${SERVICE}", "gateway").split():
                place = folder / target.replace("${SERVICE}", "gateway")
                if (ROOT / source).is_dir():
                    ignored = shutil.ignore_patterns("__pycache__")
                    shutil.copytree(ROOT / source, place, ignore=ignored, dirs_exist_ok=True)
                elif source != "requirements.lock":
                    place.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / source, place)


def test_the_operators_program_starts_from_what_its_image_holds(tmp_path: Path) -> None:
    laid_out(tmp_path, ("runtime", "tools", "operator"))

    started = subprocess.run(
        [sys.executable, "-P", "-m", "deploy.operator", "load", "--help"],
        cwd=tmp_path,
        env={"PATH": "/nowhere", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert started.returncode == 0, started.stderr
    assert "send requests at a steady rate" in started.stdout
    assert not (tmp_path / "bench" / "peers").exists()


def test_the_tools_that_the_dockerfile_names_are_complete() -> None:
    named = set(re.findall(r'^ARG TOOLS="(.*)"$', DOCKERFILE, re.MULTILINE)[0].split("|"))
    lock = (ROOT / "requirements-dev.lock").read_text("utf-8")
    product = (ROOT / "requirements.lock").read_text("utf-8")

    def is_in(text: str, name: str) -> bool:
        return re.search(rf"^{re.escape(name)}==", text, re.MULTILINE) is not None

    needed = {re.split(r"[^\w.-]", one)[0] for name in named for one in requires(name) or []
              if "extra ==" not in one and "python_version" not in one}  # fmt: skip
    assert all(is_in(lock, name) for name in named)
    assert [name for name in needed if name not in named and not is_in(product, name)] == []
