"""What the campaign of faults draws: nothing is rare, and a seed draws the same again."""

from collections import Counter

from backend.crash_points import NAMES
from tests.faults.market import stacks
from tests.faults.market.plan import CI_CYCLES_A_STACK, CI_SEED, COMMON, cycles


def test_each_crash_point_and_each_fault_comes_five_times_in_sixty_cycles() -> None:
    drawn = cycles(60, "any")
    points = Counter(cycle.crash_point for cycle in drawn)
    faults = Counter(fault for cycle in drawn for fault in cycle.faults)
    assert points == dict.fromkeys(NAMES, 5)
    assert set(faults) == set(COMMON)
    assert min(faults.values()) >= 5


def test_each_crash_point_and_each_fault_comes_in_what_ci_runs() -> None:
    drawn = cycles(CI_CYCLES_A_STACK * len(stacks.NAMES), CI_SEED)
    assert {cycle.crash_point for cycle in drawn} == set(NAMES)
    assert {fault for cycle in drawn for fault in cycle.faults} == set(COMMON)


def test_the_same_seed_draws_the_same_faults_and_dice() -> None:
    def drawn(seed: str) -> list[tuple[str, tuple[str, ...], float]]:
        return [(cycle.crash_point, cycle.faults, cycle.dice.random()) for cycle in cycles(20, seed)]

    assert drawn("1") == drawn("1") != drawn("2")
