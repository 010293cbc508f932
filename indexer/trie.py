"""The tries of a block, as the rooms know them; what builds them is `protocol.tries`, which the verifiers need too."""

from protocol.tries import ordered_path, ordered_root

__all__ = ["ordered_path", "ordered_root"]
