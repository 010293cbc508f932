"""A difference is shown, however long the two cells are."""

import json

from indexer.findings import spell_both


def test_what_differs_is_in_what_is_shown() -> None:
    fields = {"lease": "0x" + "ab" * 32, "amount": "3404", "result": "0x" + "cd" * 32}
    expected, found = spell_both(json.dumps(fields), json.dumps({**fields, "amount": "3405"}))
    assert '"amount": "3404"' in expected
    assert '"amount": "3405"' in found
    assert max(len(expected), len(found)) <= 80


def test_short_cells_are_shown_whole() -> None:
    assert spell_both(b"\x01", b"\x02") == ("0x01", "0x02")
    assert spell_both(None, 5) == ("None", "5")


def test_a_cell_that_goes_on_where_the_other_ends_is_shown_there() -> None:
    expected, found = spell_both("x" * 200, "x" * 200 + "tail")
    assert found.endswith("tail")
    assert expected != found
