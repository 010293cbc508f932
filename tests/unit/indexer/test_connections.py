"""A read has a connection for itself; what it leaves behind is no transaction, and no broken connection."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from indexer.read.connections import Connections


@pytest.fixture
def connections(tmp_path: Path) -> Iterator[Connections]:
    found = Connections(create_engine(f"sqlite:///{tmp_path}/some.db"))
    yield found
    found.close()


def test_the_next_read_has_the_same_one_in_a_new_transaction(connections: Connections) -> None:
    with connections.lend() as first:
        first.execute(text("SELECT 1"))
        assert first.in_transaction()
    with connections.lend() as second:
        assert second is first
        assert not second.in_transaction()


def test_two_reads_at_once_have_one_each(connections: Connections) -> None:
    with connections.lend() as first, connections.lend() as second:
        assert first is not second


def test_an_error_of_the_reader_costs_no_connection(connections: Connections) -> None:
    with pytest.raises(KeyError), connections.lend() as first:
        raise KeyError
    with connections.lend() as second:
        assert second is first


def test_after_an_error_of_the_database_all_are_new(connections: Connections) -> None:
    with connections.lend() as first, connections.lend():
        pass
    with pytest.raises(OperationalError), connections.lend() as second:
        second.execute(text("SELECT * FROM nothing"))
    assert second.closed
    with connections.lend() as third:
        assert third is not first
        assert third is not second


def test_one_that_is_lent_while_all_are_closed_is_closed_when_it_comes_back(connections: Connections) -> None:
    with connections.lend() as lent:
        connections.close()
        assert not lent.closed
    assert lent.closed
