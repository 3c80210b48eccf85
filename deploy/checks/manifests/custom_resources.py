"""What we use of the operators' custom resources: a field that is not here is a fault.

Held once, on 2026-11-23, to the definitions of CloudNativePG, the RabbitMQ Cluster and Messaging
Topology Operators, the Redis operator, KEDA and the Prometheus Operator (docs/kubernetes.md says
which); a new field belongs here only after that has been done again.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from deploy.checks.manifests.objects import Object


class _Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Fields are spelt as the operators spell them."""


class _Name(_Spec, frozen=True):
    name: str


class _KeyOfSecret(_Spec, frozen=True):
    name: str
    key: str


class _Synchronous(_Spec, frozen=True):
    method: Literal["any", "first"]
    number: int
    data_durability: Literal["required", "preferred"]
    failover_quorum: bool


class _PostgreSql(_Spec, frozen=True):
    synchronous: _Synchronous
    parameters: dict[str, str]


class _InitDb(_Spec, frozen=True):
    database: str
    owner: str
    secret: _Name
    encoding: str
    locale_collate: str
    locale_c_type: str = msgspec.field(name="localeCType")
    data_checksums: bool
    post_init_application_sql: list[str] = msgspec.field(name="postInitApplicationSQL")


class _Bootstrap(_Spec, frozen=True):
    initdb: _InitDb


class _Role(_Spec, frozen=True):
    name: str
    ensure: Literal["present", "absent"]
    login: bool
    password_secret: _Name


class _Managed(_Spec, frozen=True):
    roles: list[_Role]


class _Storage(_Spec, frozen=True):
    size: str


class _Affinity(_Spec, frozen=True):
    enable_pod_anti_affinity: bool
    topology_key: str
    pod_anti_affinity_type: Literal["preferred", "required"]


class _Resources(_Spec, frozen=True):
    requests: dict[str, str]
    limits: dict[str, str]


class _Cluster(_Spec, frozen=True):
    instances: int
    image_name: str
    primary_update_strategy: Literal["unsupervised", "supervised"]
    primary_update_method: Literal["switchover", "restart"]
    postgresql: _PostgreSql
    bootstrap: _Bootstrap
    managed: _Managed
    storage: _Storage
    wal_storage: _Storage
    resources: _Resources
    affinity: _Affinity


class _RabbitConfiguration(_Spec, frozen=True):
    additional_config: str


class _Persistence(_Spec, frozen=True):
    storage: str


class _RabbitmqCluster(_Spec, frozen=True):
    replicas: int
    image: str
    persistence: _Persistence
    resources: _Resources
    termination_grace_period_seconds: int
    rabbitmq: _RabbitConfiguration
    affinity: dict[str, Any]


class _User(_Spec, frozen=True):
    import_credentials_secret: _Name
    rabbitmq_cluster_reference: _Name


class _Permission(_Spec, frozen=True):
    vhost: str
    user: str
    permissions: dict[Literal["configure", "write", "read"], str]
    rabbitmq_cluster_reference: _Name


class _Policy(_Spec, frozen=True):
    name: str
    vhost: str
    pattern: str
    apply_to: Literal["queues"]
    priority: int
    definition: dict[str, str | int]
    rabbitmq_cluster_reference: _Name


class _RedisServer(_Spec, frozen=True):
    image: str
    image_pull_policy: str
    redis_secret: _KeyOfSecret
    resources: _Resources


class _RedisConfiguration(_Spec, frozen=True):
    additional_redis_config: str


class _Redis(_Spec, frozen=True):
    kubernetes_config: _RedisServer
    redis_config: _RedisConfiguration
    pod_security_context: dict[str, Any]
    security_context: dict[str, Any]


class _Fallback(_Spec, frozen=True):
    failure_threshold: int
    replicas: int
    behavior: Literal["static", "currentReplicas", "currentReplicasIfHigher"]


class _Trigger(_Spec, frozen=True):
    type: Literal["postgresql"]
    metadata: dict[Literal["query", "targetQueryValue"], str]
    authentication_ref: _Name


class _ScaledObject(_Spec, frozen=True):
    scale_target_ref: _Name
    min_replica_count: int
    max_replica_count: int
    polling_interval: int
    cooldown_period: int
    fallback: _Fallback
    advanced: dict[str, Any]
    triggers: list[_Trigger]


class _OfSecret(_Spec, frozen=True):
    parameter: str
    name: str
    key: str


class _TriggerAuthentication(_Spec, frozen=True):
    secret_target_ref: list[_OfSecret]


class _Endpoint(_Spec, frozen=True):
    port: str
    path: str
    interval: str
    scrape_timeout: str


class _Selector(_Spec, frozen=True):
    match_labels: dict[str, str]


class _ServiceMonitor(_Spec, frozen=True):
    selector: _Selector
    endpoints: list[_Endpoint]
    target_labels: list[str]
    pod_target_labels: list[str]


class _PrometheusRule(_Spec, frozen=True):
    groups: list[dict[str, Any]]  # promtool checks what is in them


KINDS: Final[Mapping[tuple[str, str], type[_Spec]]] = {
    ("postgresql.cnpg.io/v1", "Cluster"): _Cluster,
    ("rabbitmq.com/v1beta1", "RabbitmqCluster"): _RabbitmqCluster,
    ("rabbitmq.com/v1beta1", "User"): _User,
    ("rabbitmq.com/v1beta1", "Permission"): _Permission,
    ("rabbitmq.com/v1beta1", "Policy"): _Policy,
    ("redis.redis.opstreelabs.in/v1beta2", "Redis"): _Redis,
    ("keda.sh/v1alpha1", "ScaledObject"): _ScaledObject,
    ("keda.sh/v1alpha1", "TriggerAuthentication"): _TriggerAuthentication,
    ("monitoring.coreos.com/v1", "ServiceMonitor"): _ServiceMonitor,
    ("monitoring.coreos.com/v1", "PrometheusRule"): _PrometheusRule,
}


def faults(found: Object) -> list[str]:
    """What is wrong with one resource: the first thing, or that nobody knows the kind."""
    kind = KINDS.get((found["apiVersion"], found["kind"]))
    if kind is None:
        return ["no Struct of custom_resources.py says what we use of this kind"]
    try:
        msgspec.convert(found["spec"], kind)
    except msgspec.ValidationError as error:
        return [str(error)]
    return []
