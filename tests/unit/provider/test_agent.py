"""The loop around the leases: an offer in the book, signs of life, patience with what fails, leaving in good order."""

import time
from pathlib import Path

import pytest

from protocol.events import LeaseState
from protocol.hashing import to_hex
from protocol.messages import digest
from protocol.resources import Quantities, names_of
from protocol.units import METER_WORK
from provider.agent import Agent
from provider.offers import StandingOffer, median_rate
from provider.settings import AgentSettings, write_settings
from tests.support.provider_market import DOMAIN, NOW, OPERATOR, World, agent_values, refused, unavailable
from tests.support.wasm_jobs import COUNTER, spec

LANES = Quantities(cpu_eighths=8, memory_quarter_gib=4, disk_gib=10)


class House:
    """An agent over the world of one lease."""

    def __init__(self, folder: Path, **settings: object) -> None:
        write_settings(folder, agent_values(folder) | settings)
        self.settings = AgentSettings.load(folder)
        self.world = World(spec(COUNTER, segments=3), folder / "leases")
        self.market, self.ledger = self.world.market, self.world.ledger

    def offer(self) -> StandingOffer:
        return StandingOffer(self.settings, OPERATOR, DOMAIN, self.market, LANES)

    def agent(self) -> Agent:
        return Agent(
            settings=self.settings,
            me=OPERATOR.address,
            ledger=self.ledger,
            market=self.market,
            offer=self.offer(),
            server=self.world.server(),
        )


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_turn_posts_the_offer_and_serves_what_is_open(house: House) -> None:
    house.agent().turn()
    [offer] = house.market.offers_posted
    assert (offer.zone, offer.rate, offer.capacity, offer.meter) == (2, 2_400_000, 1, METER_WORK)
    assert names_of(offer.traits) == ["wasi-det/1"]
    assert offer.expiry == NOW + 24 * 3600
    assert house.market.countersigned_by == OPERATOR.address


def test_a_restart_keeps_the_offer_that_is_in_the_book(house: House) -> None:
    house.agent().turn()
    house.agent().turn()
    assert len({digest(DOMAIN, offer) for offer in house.market.offers_posted}) == 1


def test_an_offer_is_renewed_in_good_time_and_the_old_one_withdrawn(house: House) -> None:
    first = house.offer().ensure(epoch=0, now_time=NOW)
    assert house.offer().ensure(epoch=0, now_time=NOW + 11 * 3600) == first
    second = house.offer().ensure(epoch=0, now_time=NOW + 13 * 3600)
    assert second.expiry == NOW + 37 * 3600
    assert house.market.withdrawn == [digest(DOMAIN, first)]


def test_an_offer_of_an_old_epoch_is_made_anew(house: House) -> None:
    first = house.offer().ensure(epoch=0, now_time=NOW)
    assert house.offer().ensure(epoch=7, now_time=NOW).epoch == 7
    assert house.market.withdrawn == [digest(DOMAIN, first)]


def test_a_lease_that_fails_is_set_aside_and_tried_again_later(house: House) -> None:
    agent = house.agent()
    calls: list[int] = []

    def refuse(sequence: int) -> None:
        calls.append(sequence)
        refused(sequence)

    house.market.before = refuse
    agent.turn()
    agent.turn()
    assert calls == [1]
    house.market.before = lambda _: None
    time.sleep(0.55)
    agent.turn()
    assert house.market.countersigned_by == OPERATOR.address


def test_an_agent_that_leaves_withdraws_and_stops_when_nothing_is_open(house: House) -> None:
    agent = house.agent()
    assert not agent.turn()
    house.settings.leaving_mark.touch()
    assert not agent.turn()
    house.ledger.change(state=LeaseState.CLOSED)
    assert agent.turn()
    assert [to_hex(found) for found in house.market.withdrawn] == [
        to_hex(digest(DOMAIN, house.market.offers_posted[0]))
    ]


def test_a_lease_that_runs_is_served_to_its_end_while_leaving(house: House) -> None:
    house.settings.leaving_mark.touch()
    house.agent().turn()
    assert house.market.countersigned_by == OPERATOR.address
    assert house.market.offers_posted == []


def test_the_market_hears_the_agent_while_a_long_segment_runs(tmp_path: Path) -> None:
    house = House(tmp_path, heartbeat_seconds=0.5)
    house.market.after = lambda sequence: time.sleep(0.7 if sequence == 1 else 0)
    house.agent().turn()
    assert house.market.times_heard >= 2


def test_a_network_that_fails_once_does_not_set_the_lease_aside(house: House) -> None:
    house.market.before = unavailable(1)
    house.agent().turn()
    assert house.market.countersigned_by == OPERATOR.address


def test_the_median_of_an_even_book_is_the_lower_of_two() -> None:
    assert median_rate([], 5) == 5
    assert median_rate([3], 5) == 3
    assert median_rate([9, 1, 5, 3], 5) == 3
