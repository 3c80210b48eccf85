"""What crosses at the gateway's side of the execution plane."""

from typing import Final

WAKE_UP_CHANNEL: Final = "reqrun.finished"
"""Redis channel: ids of requests that are final, joined by line feeds. Any may be lost."""

CHAT_COMPLETIONS: Final = "chat/completions"
"""An endpoint is named by its path under the provider's base URL."""
