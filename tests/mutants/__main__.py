"""`python -m tests.mutants [word…]`: try all mutants, or those with a word in their name."""

import sys
import time

from tests.mutants.catalogue import MUTANTS
from tests.mutants.runner import PASSED, Fate, copied_tree, run_tests, try_one


def say(line: str) -> None:
    """At once, since the next one takes a while."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(words: list[str]) -> int:
    """0 only where every mutant was killed, by tests that pass without it."""
    chosen = [one for one in MUTANTS if not words or any(word in one.name for word in words)]
    killers = sorted({killer for one in chosen for killer in one.killers})
    fates = []
    with copied_tree() as tree:
        code, output = run_tests(tree, killers)
        if code != PASSED:
            say(f"{output[-4_000:]}\nWithout any mutant the tests must pass.")
            return 1
        for mutant in chosen:
            began = time.monotonic()
            fates.append(try_one(tree, mutant))
            say(f"{fates[-1]:14} {time.monotonic() - began:4.0f} s  {mutant.name}")
    killed = fates.count(Fate.KILLED)
    say(f"{killed} of {len(fates)} mutants were killed.")
    return int(killed < len(fates) or not fates)


sys.exit(main(sys.argv[1:]))
