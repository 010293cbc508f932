"""The market tells nobody what its settings keep."""

import pytest

from backend.settings import MarketSettings


@pytest.mark.parametrize("url", ["http://127.0.0.1:8545", "https://node.example/", "https://node.example:8443"])
def test_a_bare_node_is_told(url: str) -> None:
    assert MarketSettings(rpc_url=url).told_rpc_url == url


@pytest.mark.parametrize(
    "url",
    ["https://user:secret@node.example", "https://node.example/v3/secret", "https://node.example?key=secret"],
)
def test_a_node_whose_url_may_hold_a_key_is_not_told(url: str) -> None:
    assert MarketSettings(rpc_url=url).told_rpc_url is None
    assert (
        MarketSettings(rpc_url=url, public_rpc_url="https://open.example/rpc").told_rpc_url
        == "https://open.example/rpc"
    )
    assert MarketSettings(rpc_url="http://127.0.0.1:8545", public_rpc_url="").told_rpc_url is None
