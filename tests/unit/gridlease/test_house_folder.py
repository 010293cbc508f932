"""A house empties its own folder at each start, and no other."""

from pathlib import Path

import pytest

from gridlease import house as houses
from gridlease.house import FolderTaken, House, ToolMissing


@pytest.fixture(autouse=True)
def _without_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening ends where the node would be started: the folder is ready then."""

    def missing() -> str:
        raise ToolMissing("no node in this test")

    monkeypatch.setattr(houses, "anvil_path", missing)


def test_a_folder_with_files_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    thesis = tmp_path / "thesis.txt"
    thesis.write_text("years of work")
    with pytest.raises(FolderTaken, match="not ours"):
        House(tmp_path).open()
    assert [*tmp_path.iterdir()] == [thesis]


def test_what_an_earlier_run_left_is_removed(tmp_path: Path) -> None:
    first = House(tmp_path / "h")
    with pytest.raises(ToolMissing):
        first.open()
    (first.folder / "logs").mkdir()
    (first.folder / "logs" / "node.log").write_text("old")
    (first.folder / "mirror.db").write_text("old")
    first.close()
    with pytest.raises(ToolMissing):
        House(first.folder).open()
    assert [entry.name for entry in first.folder.iterdir()] == [".gridlease-house"]


def test_a_house_that_is_lived_in_is_not_emptied(tmp_path: Path) -> None:
    lived_in = House(tmp_path / "h")
    with pytest.raises(ToolMissing):
        lived_in.open()
    (lived_in.folder / "mirror.db").write_text("live")
    with pytest.raises(FolderTaken, match="in use"):
        House(lived_in.folder).open()
    assert (lived_in.folder / "mirror.db").read_text() == "live"
    lived_in.close()
    with pytest.raises(ToolMissing):
        House(lived_in.folder).open()


def test_where_buyers_come_first_agents_have_a_server_of_their_own(tmp_path: Path) -> None:
    assert House(tmp_path, port=18900).agents_port == 18900
    apart = House(tmp_path, port=18900, buyers_first=True)
    assert apart.agents_port > apart.port


def test_where_buyers_come_first_all_but_their_server_yields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(houses, "anvil_path", lambda: "anvil")

    def started_by(house: House) -> dict[str, tuple[str, ...]]:
        programs: dict[str, tuple[str, ...]] = {}
        monkeypatch.setattr(
            house.supervisor, "start", lambda program: programs.update({program.name: program.arguments})
        )
        for program in (house._node(), *(house._command(name) for name in ("indexer", "serve", "serve-agents"))):
            house.supervisor.start(program)
        house.start_worker()
        return programs

    yields = {
        name: words[:2] == ("nice", "-n") for name, words in started_by(House(tmp_path, buyers_first=True)).items()
    }
    assert yields == {"node": True, "indexer": True, "serve": False, "serve-agents": True, "worker": True}
    assert not any(words[0] == "nice" for words in started_by(House(tmp_path)).values())
