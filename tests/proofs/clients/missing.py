"""Reasons why a client cannot run on this machine."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Missing:
    """A client that is left out, and the reason to show."""

    name: str
    reason: str
