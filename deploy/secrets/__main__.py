"""`python -m deploy.secrets --folder PATH [--namespace NAME]`: Secrets for Kubernetes, as JSON.

To be piped into `kubectl apply -f -`, a sealing tool, or a secret store; nothing is written but the
key material and the passwords that are missing in the folder.
"""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from deploy.keys.folder import KeysRefused
from deploy.secrets import kubernetes
from deploy.secrets.rendering import Missing, load


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """The process's exit code."""
    parser = ArgumentParser(prog="python -m deploy.secrets", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="keys/ and passwords.json")
    parser.add_argument("--namespace", default="reqrun")
    given = parser.parse_args(arguments)
    try:
        site = load(given.folder, kubernetes.hosts(given.namespace), environ)
    except (Missing, KeysRefused) as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    listed = msgspec.json.encode(kubernetes.manifests(site, given.namespace))
    sys.stdout.write(f"{msgspec.json.format(listed).decode()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
