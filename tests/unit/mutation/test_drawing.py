"""Which mutants are drawn depends on the seed alone, and no line comes twice before every line came once."""

from itertools import islice

import pytest

from tests.mutation.drawing import drawn
from tests.mutation.edits import Edit, applied, crosses
from tests.mutation.mutating import Mutant

CANDIDATES = [
    Mutant("a.sol", line, operator, Edit(line, line + 1, operator))
    for line in range(10)
    for operator in ("arithmetic", "constant", "condition")
]


def test_the_draw_follows_from_the_seed() -> None:
    assert list(drawn("1", CANDIDATES)) == list(drawn("1", CANDIDATES))
    assert list(drawn("1", CANDIDATES)) != list(drawn("2", CANDIDATES))


def test_every_mutant_is_drawn_once_and_every_line_has_its_turn() -> None:
    order = list(drawn("1", CANDIDATES))
    assert len(order) == len(set(order)) == len(CANDIDATES)
    assert {mutant.line for mutant in islice(order, 10)} == set(range(10))


def test_edits_are_by_places_of_the_original() -> None:
    text = "a × b".encode()
    assert applied(text, [Edit(0, 1, "first"), Edit(5, 6, "last"), Edit(0, 0, "(")]) == "(first × last"


@pytest.mark.parametrize(
    ("edit", "other", "expected"),
    [
        (Edit(0, 4, ""), Edit(2, 2, "("), True),
        (Edit(2, 2, "("), Edit(0, 4, ""), True),
        (Edit(2, 2, "("), Edit(2, 4, ""), False),
        (Edit(0, 3, ""), Edit(2, 4, ""), True),
        (Edit(0, 2, ""), Edit(2, 4, ""), False),
    ],
)
def test_an_edit_crosses_what_it_cuts_through(edit: Edit, other: Edit, expected: bool) -> None:
    assert crosses(edit, other) is expected
