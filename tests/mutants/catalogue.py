"""All mutants."""

from typing import Final

from tests.mutants import delivery, entrance, ledger, rights
from tests.mutants.mutant import Mutant

MUTANTS: Final[tuple[Mutant, ...]] = (
    *entrance.MUTANTS,
    *ledger.MUTANTS,
    *delivery.MUTANTS,
    *rights.MUTANTS,
)
