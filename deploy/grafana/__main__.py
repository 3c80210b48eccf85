"""`python -m deploy.grafana`: write everything that is made, anew."""

import sys

from deploy.grafana.products import ROOT, products


def main() -> int:
    """The process's exit code."""
    for path, text in products().items():
        target = ROOT / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
