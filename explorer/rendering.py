"""The template environment: autoescape for every template, undefined names are errors, spelling as filters."""

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from explorer import spelling
from explorer.identicon import identicon
from explorer.sentences import sentence
from explorer.standing import standing
from protocol.hashing import cid_of, to_hex
from protocol.units import format_dollars, format_rate

_TEMPLATES: Final = Path(__file__).parent / "templates"


def environment() -> Environment:
    """Compiled once per process; templates never mark text as safe."""
    env = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    env.filters.update(
        dollars=format_dollars,
        duration=spelling.duration,
        hex=to_hex,
        iso=spelling.iso,
        moment=spelling.moment,
        short=spelling.short,
        zone=spelling.zone_name,
        sentence=sentence,
        cid=cid_of,
        grouped=lambda number: f"{number:,}",
    )
    env.globals.update(
        chain_name=spelling.chain_name,
        format_rate=format_rate,
        identicon=identicon,
        is_test_chain=spelling.is_test_chain,
        over=spelling.OVER,
        reasons=spelling.REASONS,
        relative=spelling.relative,
        standing_of=standing,
        states=spelling.STATES,
        until=spelling.UNTIL,
    )
    return env
