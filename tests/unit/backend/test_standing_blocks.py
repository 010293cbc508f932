"""Which blocks a chain has is remembered below a head that it still has, and never longer."""

from collections.abc import Iterable
from random import Random

import pytest

from backend.submission.node import Glance, Node


class _Chain(Node):
    """Blocks in memory; `between` happens after each question."""

    def __init__(self) -> None:
        super().__init__("http://node.example")
        self.blocks = ["0"]
        self.made = 0
        self.asked: list[int] = []

    def grow(self, blocks: int) -> None:
        for _ in range(blocks):
            self.made += 1
            self.blocks.append(str(self.made))

    def replace(self, depth: int) -> None:
        """By as many other blocks, and one more."""
        del self.blocks[-depth:]
        self.grow(depth + 1)

    def head(self) -> Glance:
        return Glance(len(self.blocks) - 1, self.blocks[-1], 0, 0)

    def block_hashes(self, numbers: Iterable[int]) -> dict[int, str]:
        wanted = sorted(numbers)
        self.asked += wanted
        return {number: self.blocks[number] for number in wanted if number < len(self.blocks)}


@pytest.fixture
def chain() -> _Chain:
    made = _Chain()
    made.grow(9)
    return made


def test_what_stood_is_not_asked_for_again_below_a_head_that_stands(chain: _Chain) -> None:
    blocks = {(number, str(number)) for number in range(1, 8)}
    assert chain.standing(blocks, chain.head()) == {block for _, block in blocks}
    chain.asked.clear()
    assert chain.standing(blocks, chain.head()) == {block for _, block in blocks}
    assert chain.asked == []
    chain.grow(2)
    assert chain.standing(blocks, chain.head()) == {block for _, block in blocks}
    assert chain.asked == [9, 11]


def test_a_reorg_takes_what_was_remembered(chain: _Chain) -> None:
    blocks = {(6, "6"), (8, "8")}
    assert chain.standing(blocks, chain.head()) == {"6", "8"}
    chain.replace(3)
    assert chain.standing(blocks, chain.head()) == {"6"}


def test_of_a_chain_that_changed_between_glance_and_question_nothing_is_remembered(chain: _Chain) -> None:
    early = chain.head()
    chain.replace(3)
    fork = (7, chain.blocks[7])
    assert chain.standing({fork}, early) == {fork[1]}
    # The chain of the glance is back, and goes on.
    chain.blocks = [str(number) for number in range(10)]
    assert chain.standing({fork}, early) == set()
    chain.grow(1)
    assert chain.standing({fork}, chain.head()) == set()


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_between_looks_it_is_what_the_chain_has(chain: _Chain, seed: int) -> None:
    dice = Random(seed)
    seen: set[tuple[int, str]] = set()
    for _ in range(60):
        seen |= {(number, chain.blocks[number]) for number in dice.sample(range(len(chain.blocks)), 3)}
        found = chain.standing(dice.sample(sorted(seen), len(seen) // 2 + 1), chain.head())
        assert found <= set(chain.blocks)
        assert chain.standing(seen, chain.head()) == {block for number, block in seen if block in chain.blocks}
        if dice.random() < 0.4:
            chain.replace(dice.randrange(1, min(6, len(chain.blocks) - 1)))
        else:
            chain.grow(dice.randrange(3))
