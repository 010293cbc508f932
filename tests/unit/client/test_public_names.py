"""What `from gridlease import …` offers is there, sorted, and nothing else is."""

import gridlease


def test_every_public_name_loads() -> None:
    assert gridlease.__all__ == sorted(gridlease.__all__)
    for name in gridlease.__all__:
        assert getattr(gridlease, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(gridlease, "Bid")
