"""Drift between the settings Structs and what processes are given, here and there.

Each process's variables are loaded as the process would load them, with secrets made for the check.
"""

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from deploy.checks.manifests.objects import Finding, finding
from deploy.checks.manifests.processes import HANDED_ON, STRUCTS, TOOLBOX, Process, Role
from deploy.secrets import kubernetes
from deploy.secrets.contents import given_names
from deploy.secrets.rendering import load as load_site
from libs.common.settings import PREFIX, Secret, SettingsError, load

GIVEN: Final = {"SMTP_URL": "smtp://user:secret@relay.example:587"}
"""What only an operator can say, said for the check."""


def made_secrets() -> dict[str, str]:
    """Every secret variable with a value that a process would take."""
    with tempfile.TemporaryDirectory() as folder:
        environ = {PREFIX + name: GIVEN.get(name, "") for name in given_names()}
        site = load_site(Path(folder), kubernetes.hosts("reqrun"), environ)
        return {name: text for one in site.secrets().values() for name, text in one.items()}


def check(processes: Sequence[Process], secrets: Mapping[str, str]) -> Finding:
    """Whether each process would start with what it gets, and reads all of it."""
    faults = (f"{one.title}: {text}" for one in processes for text in _faults(one, secrets))
    return finding("settings", processes, faults)


def _faults(process: Process, secrets: Mapping[str, str]) -> Iterator[str]:
    kinds = {"": STRUCTS[process.role], **{name: HANDED_ON[name] for name in process.others}}
    fields = {
        PREFIX + field.name.upper(): field
        for kind in kinds.values()
        for field in msgspec.structs.fields(kind)
    }
    for name in sorted(process.given - set(fields)):
        yield f"nobody reads {name}"
    for name in sorted(set(process.values) & process.secrets):
        yield f"{name} is given twice, and the file does not count"
    for name in sorted(process.values):
        if name in fields and fields[name].type is Secret:
            yield f"{name} is a secret and stands in the manifest"
    for folder, kind in kinds.items():
        names = process.others.get(folder, process.secrets)
        try:
            load(kind, {**{name: secrets[name] for name in names}, **process.values})
        except SettingsError as error:
            yield f"{folder} {error}".strip()


def check_places(places: Mapping[str, Iterable[Role]]) -> Finding:
    """Whether every place runs the same processes. A place may run several of one."""
    found: dict[Role, set[str]] = defaultdict(set)
    for place, roles in places.items():
        for role in set(roles) - {TOOLBOX}:
            found[role].add(place)
    faults = [
        f"{' '.join(role)} does not run in {place}"
        for role, where in sorted(found.items())
        for place in sorted(set(places) - where)
    ]
    return finding("the same processes everywhere", found, faults)


def check_secrets(processes: Sequence[Process]) -> Finding:
    """Whether a process has the same secrets wherever it runs: no more, no fewer."""
    by_role: dict[Role, dict[frozenset[str], str]] = defaultdict(dict)
    for process in processes:
        by_role[process.role].setdefault(process.secrets, process.place)
    faults = [
        f"{' '.join(role)} has other secrets in {' than in '.join(sorted(different.values()))}"
        for role, different in sorted(by_role.items())
        if len(different) > 1
    ]
    return finding("the same secrets everywhere", by_role, faults)
