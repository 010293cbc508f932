"""Errors over HTTP: RFC 9457 problem+json with a stable code and a remedy."""

from pydantic import BaseModel, ConfigDict

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """One refused request. Extra members carry facts, such as why each offer was refused."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    #: stable, for programs
    code: str
    #: what to change
    remedy: str | None = None
    request_id: str | None = None
