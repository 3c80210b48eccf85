"""All mutants."""

from typing import Final

from tests.mutants import delivery, entrance, eyes, ledger, rights
from tests.mutants.mutant import Mutant

MUTANTS: Final[tuple[Mutant, ...]] = (
    *entrance.MUTANTS,
    *ledger.MUTANTS,
    *delivery.MUTANTS,
    *rights.MUTANTS,
    *eyes.MUTANTS,
)
