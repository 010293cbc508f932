"""Which mutants are tried, in which order: each line is as likely as any other, then each operator on it."""

from collections import defaultdict
from collections.abc import Iterator
from random import Random

from tests.mutation.mutating import Mutant


def drawn(seed: str, candidates: list[Mutant]) -> Iterator[Mutant]:
    """All of them, none twice. A line comes again only when every other has had its turn."""
    random = Random(seed)
    by_line: dict[tuple[str, int], list[Mutant]] = defaultdict(list)
    for mutant in candidates:
        by_line[mutant.file, mutant.line].append(mutant)
    while by_line:
        for place in random.sample(sorted(by_line), len(by_line)):
            left = by_line[place]
            operator = random.choice(sorted({mutant.operator for mutant in left}))
            chosen = random.choice([mutant for mutant in left if mutant.operator == operator])
            left.remove(chosen)
            if not left:
                del by_line[place]
            yield chosen
