"""RabbitMQ's users, permissions and policies as custom resources, of the topology in the code.

Queues, exchanges and bindings are not among them: every service declares those when it connects.
`python -m deploy.checks.manifests.topology` writes the file anew.
"""

import sys
from pathlib import Path
from typing import Any, Final

import yaml

from deploy.checks.manifests.objects import Finding, Object, Overlay, finding, title
from deploy.checks.manifests.rendering import KUBERNETES
from libs.common.broker.definitions import GRANTS, SALT_BYTES, User, definitions
from libs.common.settings import Secret

FILE: Final = KUBERNETES / "components" / "operators" / "topology.yaml"
KINDS: Final = ("User", "Permission", "Policy")

_HEAD: Final = """# Written by `python -m deploy.checks.manifests.topology`, of libs/common/broker:
# who may connect and what for, and the limits of every queue. The services declare the queues.
"""
_CLUSTER: Final = {"rabbitmqClusterReference": {"name": "broker"}}


def resources() -> list[Object]:
    """All of them, in the order of the file."""
    # Only names and grants are used: passwords come from Secrets.
    known = [
        User(name=name, password=Secret(""), salt=bytes(SALT_BYTES), grant=grant)
        for name, grant in GRANTS.items()
    ]
    made = definitions(known)
    users = [_user(user.name) for user in known]
    permissions = [_permission(one) for one in made["permissions"]]
    return users + permissions + [_policy(one) for one in made["policies"]]


def check(overlay: Overlay) -> Finding:
    """Whether what renders is what the code says."""
    wanted = {title(one): one["spec"] for one in resources()}
    found = {title(one): one["spec"] for one in overlay.of(*KINDS)}
    differing = sorted(name for name in wanted | found if wanted.get(name) != found.get(name))
    faults = [f"{name} is not as libs/common/broker says; write it anew" for name in differing]
    return finding(f"{overlay.name}: the broker's topology", found, faults)


def write(file: Path) -> None:
    """The file of the component."""
    text = yaml.safe_dump_all(resources(), sort_keys=False, width=100)
    file.write_text(f"{_HEAD}{text}", "utf-8")


def _resource(kind: str, name: str, spec: dict[str, Any]) -> Object:
    metadata = {"name": name}
    return {
        "apiVersion": "rabbitmq.com/v1beta1",
        "kind": kind,
        "metadata": metadata,
        "spec": {**spec, **_CLUSTER},
    }


def _user(name: str) -> Object:
    return _resource("User", name, {"importCredentialsSecret": {"name": f"broker-{name}"}})


def _permission(known: dict[str, str]) -> Object:
    granted = {verb: known[verb] for verb in ("configure", "write", "read")}
    spec = {"vhost": known["vhost"], "user": known["user"], "permissions": granted}
    return _resource("Permission", known["user"], spec)


def _policy(known: dict[str, Any]) -> Object:
    spec = {
        "name": known["name"],
        "vhost": known["vhost"],
        "pattern": known["pattern"],
        "applyTo": known["apply-to"],
        "priority": known["priority"],
        "definition": known["definition"],
    }
    return _resource("Policy", known["name"].replace("_", "-"), spec)


if __name__ == "__main__":
    write(FILE)
    sys.stdout.write(f"{FILE.relative_to(KUBERNETES)}\n")
