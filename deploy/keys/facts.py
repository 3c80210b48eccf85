"""Key material as the texts that settings take, by name."""

import msgspec

from deploy.keys.material import Material, privates


def facts(made: Material) -> dict[str, str]:
    """What a template of settings may name as `{key[…]}`."""
    return {
        **{name: key.private for name, key in made.services.items()},
        **{f"{name}_id": key.key_id for name, key in made.services.items()},
        "service_public_keys": msgspec.json.encode(made.service_public_keys).decode(),
        "pepper": made.peppers[0].secret,
        "pepper_id": str(made.peppers[0].id),
        "older_peppers": made.older_peppers,
        "executor_sealing": privates(made.executor),
        "executor_public": made.executor[0].public,
        "data_plane": privates(made.data_plane),
        "data_plane_public": made.data_plane[0].public,
    }
