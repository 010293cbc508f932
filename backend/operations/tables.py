"""The clockwork of the market: what is due, and who was heard."""

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel


class TickRow(SQLModel, table=True):
    """A piece of work that comes again and again. However many clocks there are, one of them takes each tick."""

    __tablename__ = "ticks"
    #: such as market.step
    name: str = Field(primary_key=True, max_length=40)
    #: unix milliseconds: when a clock last rang for it
    rung_ms: int = Field(default=0, sa_type=BigInteger)
    #: unix milliseconds: when it was last done
    done_ms: int = Field(default=0, sa_type=BigInteger)
    #: milliseconds that it took then
    took_ms: int = 0


class PulseRow(SQLModel, table=True):
    """A kind of process that says from time to time that it is alive."""

    __tablename__ = "pulses"
    #: such as worker
    name: str = Field(primary_key=True, max_length=40)
    #: unix milliseconds
    heard_ms: int = Field(default=0, sa_type=BigInteger)


class LateSpellRow(SQLModel, table=True):
    """The market took no calls, or too late ones, from one time until another; unix seconds."""

    __tablename__ = "late_spells"
    id: int | None = Field(default=None, primary_key=True)
    from_time: int
    until_time: int = Field(index=True)
