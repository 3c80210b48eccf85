"""What is under load, one of several that run: whose CPU is counted as what."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from bench.exposition import Batches
from bench.usage import Roots

PROVIDER = "provider"
GENERATOR = "generator"
BYSTANDERS = "bystanders"
"""The processes of everything that runs beside what is measured, and idles."""

BESIDE = (PROVIDER, GENERATOR, BYSTANDERS)
"""Parts whose CPU is not that of what is measured."""


class Measured(ABC):
    """A whole system, ours or a peer's."""

    bystanders: Sequence["Measured"] = ()
    provider_pids: Sequence[int] = ()

    @property
    @abstractmethod
    def parts(self) -> Roots:
        """The first processes of each of its parts that run now."""

    @property
    def roots(self) -> Roots:
        """Whose CPU is read: its parts, the provider and all bystanders."""
        beside = [pid for one in self.bystanders for pids in one.parts.values() for pid in pids]
        return {**self.parts, PROVIDER: self.provider_pids, BYSTANDERS: beside}

    def batches(self) -> Mapping[str, Batches]:
        """Batches so far by name, where it tells."""
        return {}
