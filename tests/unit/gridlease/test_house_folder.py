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


def test_agents_have_a_server_of_their_own_where_it_is_asked_for(tmp_path: Path) -> None:
    assert House(tmp_path, port=18900).agents_port == 18900
    apart = House(tmp_path, port=18900, agents_apart=True)
    assert apart.agents_port > apart.port
