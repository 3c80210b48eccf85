"""All that is wrong with a form, found at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from libs.common.errors import InvalidInput
from libs.common.ids import is_id, new_id
from services.accounts.domain.errors import FieldErrors


def id_for(prefix: str, text: str) -> str:
    """The id of what is to be made. `text`: what its form came with; a fresh one where it is empty.

    So a form that is sent twice makes one thing. Raises InvalidInput.
    """
    if text and not is_id(prefix, text):
        raise InvalidInput("This is not a form of ours. Load the page anew.")
    return text or new_id(prefix)


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
