"""Celery's options, written in ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

ALIASES: Final[Mapping[str, str]] = {
    "autoretry_for": "retry_on",
    "dont_autoretry_for": "dont_retry_on",
    "acks_on_failure_or_timeout": "acks_on_failure",
}
"""Celery's spelling -> ours."""

RETRY_KWARGS: Final = "retry_kwargs"
_OURS: Final[Mapping[str, str]] = {"max_retries": "max_retries", "countdown": "default_retry_delay"}


def spread(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `given` with the options that its `retry_kwargs` stands for: `max_retries`, and `countdown` in seconds.

    Raises:
        ValueError: it holds something else, or an option that is also given by itself.
    """
    if RETRY_KWARGS not in given:
        return given
    inside = given[RETRY_KWARGS]
    if not isinstance(inside, Mapping) or not set(inside) <= set(_OURS):
        raise ValueError(
            f"{RETRY_KWARGS}={inside!r}: it is a dict of {' and '.join(_OURS)}; write every other option by itself."
        )
    spread_out = {_OURS[name]: value for name, value in inside.items()}
    for name in spread_out:
        if name in given:
            raise ValueError(f"{name!r} is given by itself and in {RETRY_KWARGS}. Keep one.")
    return {**{name: value for name, value in given.items() if name != RETRY_KWARGS}, **spread_out}
