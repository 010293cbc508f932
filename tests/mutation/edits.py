"""Changes of a text by places of the original."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """Replaces the bytes from `start` to before `end`."""

    start: int
    end: int
    text: str


def crosses(edit: Edit, other: Edit) -> bool:
    """Whether they share a byte, or one inserts inside the other."""
    if edit.start == edit.end:
        return other.start < edit.start < other.end
    return edit.start < other.end and other.start < edit.end


def applied(text: bytes, edits: list[Edit]) -> str:
    """The text with the edits, which do not cross each other."""
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end), reverse=True):
        text = text[: edit.start] + edit.text.encode() + text[edit.end :]
    return text.decode()
