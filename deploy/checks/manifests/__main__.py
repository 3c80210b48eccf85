"""`python -m deploy.checks.manifests [--crds FOLDER] [--filled-in OVERLAY]`: 1 on a fault.

`--filled-in`: refuse the overlay, too, while a name in it stands for nothing (`.invalid`).
"""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from deploy.checks.manifests import (
    connections,
    containers,
    edge,
    names,
    network,
    pods,
    processes,
    rendering,
    rollout,
    schemas,
    settings,
    topology,
)
from deploy.checks.manifests.objects import Finding, Overlay, finding


def main(arguments: Sequence[str]) -> int:
    """The process's exit code."""
    parser = ArgumentParser(prog="python -m deploy.checks.manifests")
    parser.add_argument("--crds", type=Path, help="a folder of CustomResourceDefinitions")
    parser.add_argument("--filled-in", metavar="OVERLAY", help="its names must be yours")
    given = parser.parse_args(arguments)
    try:
        overlays = rendering.installations()
        findings = [one for overlay in overlays for one in of_overlay(overlay, given.crds)]
        findings += of_all(overlays)
        if given.filled_in:
            [mine] = [overlay for overlay in overlays if overlay.name == given.filled_in]
            findings.append(names.check_filled_in(mine))
    except (rendering.NotRendered, processes.NotUnderstood) as refused:
        sys.stdout.write(f"✗ {refused}\n")
        return 1
    return report(findings, names=[overlay.name for overlay in overlays])


def of_overlay(overlay: Overlay, crds: Path | None = None) -> list[Finding]:
    """What each overlay is held to."""
    given = [schemas.check_definitions(overlay, schemas.read_definitions(crds))] if crds else []
    return [
        *(schemas.check(overlay, version) for version in schemas.VERSIONS),
        schemas.check_custom(overlay),
        *given,
        *pods.check(overlay),
        *rollout.check(overlay),
        *network.check(overlay),
        *edge.check(overlay),
        topology.check(overlay),
        connections.check(overlay),
        names.check(overlay),
    ]


def of_all(overlays: Sequence[Overlay]) -> list[Finding]:
    """What overlays, compose file and local stack are held to together."""
    compose = rendering.compose()
    in_compose = processes.of_compose(compose)
    in_overlays = {overlay.name: processes.of_overlay(overlay) for overlay in overlays}
    running = [*in_compose, *(one for found in in_overlays.values() for one in found)]
    places = {
        "the local stack": processes.of_local(),
        "the compose file": [one.role for one in in_compose],
        **{name: [one.role for one in found] for name, found in in_overlays.items()},
    }
    return [
        settings.check(running, settings.made_secrets()),
        settings.check_places(places),
        settings.check_secrets(running),
        *containers.check(compose),
        finding("Dockerfile", [1], rendering.lint_dockerfile(rendering.ROOT / "Dockerfile")),
    ]


def report(findings: Sequence[Finding], names: Sequence[str]) -> int:
    """Say what was found; the exit code. A check that looked at nothing is a fault."""
    for one in findings:
        for fault in one.faults:
            sys.stdout.write(f"✗ {one.check}: {fault}\n")
        if one.looked_at == 0:
            sys.stdout.write(f"✗ {one.check}: NOTHING WAS CHECKED\n")
    bad = sum(not one.is_good for one in findings)
    looked_at = sum(one.looked_at for one in findings)
    what = f"{len(findings)} checks of {', '.join(names) or 'NOTHING'}"
    sys.stdout.write(f"manifests: {what}, {looked_at} things looked at, {bad} with faults\n")
    return 1 if bad or not findings or not names else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
