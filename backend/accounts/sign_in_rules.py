"""What a sign-in must name. Apart from what parses it, which takes a worker a second to load and it never needs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SignInRules:
    """From settings, never from the request."""

    domain: str
    uri: str
    chain_id: int
