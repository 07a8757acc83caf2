"""Pausing queues and tasks over one family of keys."""

from __future__ import annotations

from typing import Final

import msgspec

from django_jobs.backends.redis.family import Family
from django_jobs.backends.redis.scripts import PAUSE, RESUME
from django_jobs.core.pause import Pause, Target

_write: Final = msgspec.json.Encoder().encode
_read: Final = msgspec.json.Decoder(tuple[str, str]).decode


def pause(family: Family, target: Target, *, by: str, reason: str) -> bool:
    """Pause; False where it is paused already."""
    return bool(family.run(PAUSE, [str(target), _write((by, reason))]))


def resume(family: Family, target: Target) -> bool:
    """End a pause, and put back what it has held; False where it was not paused."""
    was, more = family.run(RESUME, [str(target)])
    while more:
        _, more = family.run(RESUME, [str(target)])
    return bool(was)


def paused(family: Family) -> list[Pause]:
    """Return what is paused, queues first, by name."""
    with family.client.errors("list what is paused"):
        stored = family.client.redis.hgetall(f"{family.prefix}paused")
    return [_pause(Target.parse(field.decode()), stored[field]) for field in sorted(stored)]


def _pause(target: Target, value: bytes) -> Pause:
    since, _, said = value.partition(b" ")
    by, reason = _read(said)
    return Pause(kind=target.kind, name=target.name, since_us=int(since), by=by, reason=reason)
