"""Checks of roles: each can do what it must, and nothing else."""

from collections.abc import Iterator, Mapping
from typing import Final

from deploy.operator.doctor.check import Check, Unable, Verdict, fail, ok
from deploy.operator.doctor.grants import GRANTS, OPTIONAL, Rights
from deploy.operator.doctor.servers import Server

PUBLIC: Final = "PUBLIC"

_GRANTED: Final = """
WITH granted AS (
    SELECT c.relname::text AS what, a.grantee, a.privilege_type::text AS may, c.relowner AS owner
    FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
    WHERE c.relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT c.relname || '(' || t.attname || ')', a.grantee, a.privilege_type, c.relowner
    FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid
        CROSS JOIN LATERAL aclexplode(t.attacl) a
    WHERE c.relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT p.proname || '()', a.grantee, a.privilege_type, p.proowner
    FROM pg_proc p CROSS JOIN LATERAL aclexplode(p.proacl) a
    WHERE p.pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'schema public', a.grantee, a.privilege_type, n.nspowner
    FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) a WHERE n.nspname = 'public'
)
SELECT g.what, string_agg(DISTINCT g.may, ' ' ORDER BY g.may) AS may
FROM granted g LEFT JOIN pg_roles r ON r.oid = g.grantee
WHERE g.grantee <> g.owner AND coalesce(r.rolname, 'PUBLIC') = $1
GROUP BY 1
"""

_POWERS: Final = """
SELECT r.rolsuper AS "is a superuser", r.rolcreaterole AS "makes roles",
    r.rolcreatedb AS "makes databases", r.rolreplication AS "replicates",
    r.rolbypassrls AS "passes row security",
    EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid) AS "is a member of another role",
    EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid) AS "owns tables",
    EXISTS (
        SELECT FROM pg_database d WHERE d.datname = ANY($2) AND d.datname <> current_database()
            AND has_database_privilege(r.oid, d.oid, 'CONNECT')
    ) AS "may enter another of our databases"
FROM pg_roles r WHERE r.rolname = $1
"""


def checks(servers: Mapping[str, Server]) -> Iterator[Check]:
    """One of each role of each database, and one of everybody."""
    for database, roles in GRANTS.items():
        for role, rights in roles.items():
            yield Check(f"{database}: role {role}", _Role(servers[database], role, rights))


class _Role:
    """Compares what is granted with what should be."""

    def __init__(self, server: Server, role: str, rights: Rights) -> None:
        self._server, self._role, self._rights = server, role, rights

    async def __call__(self) -> Verdict:
        powers: list[str] = []
        if self._role != PUBLIC:
            rows = await self._server.ask(_POWERS, self._role, list(GRANTS))
            if not rows:
                return _no_role(self._role)
            powers = [name for name, has_it in dict(rows[0]).items() if has_it]
        granted = await self._server.ask(_GRANTED, self._role)
        return judge(powers, {row["what"]: row["may"] for row in granted}, self._rights)


def _no_role(role: str) -> Verdict:
    if role in OPTIONAL:
        raise Unable("there is no such role, and none is needed without an autoscaler")
    return fail("there is no such role", "make it, let it CONNECT, grant what its migration grants")


def judge(powers: list[str], granted: Rights, wanted: Rights) -> Verdict:
    """`powers`: what a role of ours never has; rights are compared one by one."""
    more = [*powers, *_beyond(granted, wanted)]
    less = list(_beyond(wanted, granted))
    if more or less:
        said = [f"too much: {', '.join(more)}"] * bool(more)
        said += [f"too little: {', '.join(less)}"] * bool(less)
        return fail("; ".join(said), "REVOKE what is too much, GRANT what is missing, as the owner")
    return ok(f"may do what it must with {len(wanted)} objects, and nothing else")


def _beyond(some: Rights, others: Rights) -> Iterator[str]:
    """What `some` has and `others` has not."""
    for what, may in sorted(some.items()):
        rest = [right for right in may.split() if right not in others.get(what, "").split()]
        if rest:
            yield f"{' '.join(rest)} on {what}"
