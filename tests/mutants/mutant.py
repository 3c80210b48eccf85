"""What a mutant is."""

from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]


class Mutant(msgspec.Struct, frozen=True):
    """`text`, found once in the file at `path`, becomes `instead`; one of `killers` must fail.

    `name` says what goes wrong. Killers are as pytest takes them: files, or tests in them.
    """

    name: str
    path: str
    text: str
    instead: str
    killers: tuple[str, ...]

    def applies(self, root: Path = ROOT) -> bool:
        """Whether the text is there, exactly once."""
        file = root / self.path
        return file.exists() and file.read_text().count(self.text) == 1

    def apply(self, root: Path) -> str:
        """Mutate the tree at `root`; answers what the file was."""
        file = root / self.path
        before = file.read_text()
        file.write_text(before.replace(self.text, self.instead))
        return before
