"""Secrets as Kubernetes takes them, and where the overlays' operators put the servers."""

from collections.abc import Iterator
from typing import Any, Final

from deploy.secrets.contents import READERS, SCALER
from deploy.secrets.rendering import Hosts, Site
from libs.common.broker.definitions import GRANTS

ROLES: Final = {
    "requests": ("gateway", "executor", "scaler", "operator"),
    "accounts": ("accounts",),
    "billing": ("billing",),
}
"""Who has a role on which database, besides its owner."""

Manifest = dict[str, Any]


def hosts(namespace: str) -> Hosts:
    """The Services that CloudNativePG (<cluster>-rw), the RabbitMQ and the Redis operator make.

    With the namespace: KEDA asks from another.
    """
    return Hosts(
        requests=f"requests-db-rw.{namespace}.svc:5432",
        accounts=f"accounts-db-rw.{namespace}.svc:5432",
        billing=f"billing-db-rw.{namespace}.svc:5432",
        rabbitmq=f"broker.{namespace}.svc:5672",
        redis=f"cache.{namespace}.svc:6379",
    )


def manifests(site: Site, namespace: str) -> Manifest:
    """One List of every Secret that deploy/k8s names."""
    items = [*_of_processes(site), *_of_databases(site), *_of_brokers(site)]
    items += [
        _secret("cache", {"password": site.password["redis"]}),
        _secret("scaler", {"connection": site.fill(SCALER)}),
    ]
    for item in items:
        item["metadata"]["namespace"] = namespace
    return {"apiVersion": "v1", "kind": "List", "items": items}


def names() -> set[str]:
    """Of all of them."""
    roles = {f"database-{role}" for role in _role_passwords().values()}
    brokers = {f"broker-{user}" for user in GRANTS}
    return {*READERS, *roles, *brokers, "cache", "scaler"}


def _of_processes(site: Site) -> Iterator[Manifest]:
    for reader, values in site.secrets().items():
        yield _secret(reader, values)


def _of_databases(site: Site) -> Iterator[Manifest]:
    """As CloudNativePG wants them: it gives a role the password in here, and every new one."""
    for role, password in _role_passwords().items():
        data = {"username": role, "password": site.password[password]}
        secret = _secret(f"database-{password}", data, kind="kubernetes.io/basic-auth")
        secret["metadata"]["labels"]["cnpg.io/reload"] = "true"
        yield secret


def _role_passwords() -> dict[str, str]:
    """The name of its password, by role."""
    services = {f"reqrun_{name}": name for names in ROLES.values() for name in names}
    return services | {f"reqrun_{database}_owner": f"{database}-owner" for database in ROLES}


def _of_brokers(site: Site) -> Iterator[Manifest]:
    """As the Messaging Topology Operator wants them: without the label it does not see them."""
    for user in GRANTS:
        data = {"username": user, "password": site.password[user]}
        secret = _secret(f"broker-{user}", data)
        secret["metadata"]["labels"]["rabbitmq.com/topology-operator"] = "true"
        yield secret


def _secret(name: str, values: dict[str, str], kind: str = "Opaque") -> Manifest:
    labels = {"app.kubernetes.io/part-of": "reqrun"}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": labels},
        "type": kind,
        "stringData": values,
    }
