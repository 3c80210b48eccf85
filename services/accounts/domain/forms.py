"""All that is wrong with a form, found at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from libs.common.errors import InvalidInput
from services.accounts.domain.errors import FieldErrors


class Fields:
    """Collects what the checks of the single fields say."""

    def __init__(self) -> None:
        """Nothing is wrong yet."""
        self._errors: dict[str, str] = {}

    @contextmanager
    def check(self, field: str) -> Iterator[None]:
        """What is raised in this block is about `field`. The first thing said of a field stays."""
        try:
            yield
        except InvalidInput as wrong:
            self._errors.setdefault(field, str(wrong))

    def add(self, field: str, text: str) -> None:
        """What could only be found out elsewhere."""
        self._errors.setdefault(field, text)

    def end(self) -> None:
        """Raises FieldErrors where anything is wrong. Past it, every block came to its end."""
        if self._errors:
            raise FieldErrors(self._errors)
