"""What one call asks for beside its arguments: the options of `apply_async`, checked, over the task's own."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any, Final, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connections

from django_jobs.client.binding import FairTerms, LimitTerms, UniqueTerms, fair_terms, limit_terms, unique_terms
from django_jobs.core.bounds import fair_text
from django_jobs.core.message import ID_PATTERN
from django_jobs.core.options import (
    TaskOptions,
    check_backoff,
    check_limit,
    check_max_retries,
    check_priority,
    check_queue,
    check_seconds,
    soft_above_hard,
)
from django_jobs.core.policy import Policy
from django_jobs.core.routes import NO_ROUTE, Route
from django_jobs.core.serializer import TAG, to_plain
from django_jobs.exceptions import InvalidOption, SerializationError

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST_US: Final = 253_402_300_799_999_999
"""The last microsecond of the year 9999, which is where every database ends."""


class CallOptions(TypedDict, total=False):
    """The options of `apply_async` and `using`. None means "as if not given", but for `max_retries`: for ever."""

    countdown: float | timedelta | None
    """Seconds from now before which the job does not start."""
    eta: datetime | None
    """The instant before which it does not start."""
    expires: float | timedelta | datetime | None
    """Seconds from now, or the instant, after which it is dropped instead of started."""
    queue: str | None
    priority: int | None
    """-100 to 100, higher first, inside one queue."""
    task_id: str | UUID | None
    """An id of the caller's: while the job lives and for a day after, the same id is the same job."""
    headers: Mapping[str, Any] | None
    """Plain values that travel with the job, for `self.request.headers`."""
    unique_key: str | None
    """While another job of the task holds this key, none is enqueued; whatever `unique` of the task says."""
    fair_key: str | int | UUID | None
    """The key by which the job takes turns with the others of its queue; whatever `fair_key` of the task says."""
    max_retries: int | None
    default_retry_delay: float | timedelta | None
    retry_backoff: float | bool | None
    retry_backoff_max: float | timedelta | None
    retry_jitter: bool | None
    retry_for: float | timedelta | None
    """Seconds after the start of the first run past which no retry begins."""
    soft_time_limit: float | timedelta | None
    """Seconds after which SoftTimeLimitExceeded is raised in the job."""
    time_limit: float | timedelta | None
    """Seconds after which the process that runs the job is killed."""
    ignore_result: bool
    on_commit: bool
    """False sends at once, also inside a transaction; a broker in the same database cannot, and refuses."""
    using: str | None
    """The database alias whose transaction the job waits for, where the broker is not in that database."""


OPTION_NAMES: Final = tuple(CallOptions.__annotations__)
OVERRIDES: Final = (
    "max_retries",
    "default_retry_delay",
    "retry_backoff",
    "retry_backoff_max",
    "retry_jitter",
    "retry_for",
    "soft_time_limit",
    "time_limit",
    "ignore_result",
)
"""The options of a call that take the place of the task's own for this job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a message says beside task and arguments; times in microseconds, as `core.message.Message` has them."""

    queue: str
    priority: int
    eta_us: int | None = None
    delay_us: int | None = None
    expires_us: int | None = None
    expires_after_us: int | None = None
    job_id: str | None = None
    on_commit: bool = True
    using: str | None = None
    eager: bool = False
    """The job runs at the call (EAGER)."""
    ignored: bool = False
    """A success leaves nothing (`ignore_result`)."""
    carries: bool = False
    """Whether the project has context that travels along (CARRY)."""
    headers: Mapping[str, Any] = field(default_factory=dict)
    """Plain values."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """The task's options that this call overrides, for the worker."""
    unique: UniqueTerms | None = None
    limit: LimitTerms | None = None
    fair: FairTerms | None = None
    bound: bool = False
    """Whether `unique`, `limit` or `fair` is there."""


def merge(bound: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return `given` over `bound`; a start given now replaces one bound before, in either spelling."""
    merged = {**bound, **given}
    if given.get("countdown") is not None and given.get("eta") is None:
        merged.pop("eta", None)
    elif given.get("eta") is not None and given.get("countdown") is None:
        merged.pop("countdown", None)
    return merged


def check_bindable(given: Mapping[str, Any]) -> None:
    """Accept the names of options that `using` binds to many calls.

    Raises:
        InvalidOption: one is unknown, or belongs to one call only.
    """
    _check_names(given, where="using")
    if given.get("task_id") is not None:
        raise InvalidOption("using(task_id=...): an id belongs to one call. Give it to apply_async.")


def _check_names(given: Mapping[str, Any], *, where: str) -> None:
    for name in given:
        if name not in OPTION_NAMES:
            close = get_close_matches(name, OPTION_NAMES, n=2)
            hint = f"Did you mean {' or '.join(close)}?" if close else f"The options are: {', '.join(OPTION_NAMES)}."
            raise InvalidOption(f"{where} has no option {name!r}. {hint} Nothing was enqueued.")


def agree(
    given: Mapping[str, Any],
    *,
    options: TaskOptions,
    policy: Policy,
    declared: Container[str] = (),
    route: Route = NO_ROUTE,
) -> Terms:
    """Return the terms of one call: `given`, then what `@job` itself says, then ROUTES, QUEUES and TASK_DEFAULTS.

    `options` are the task's over TASK_DEFAULTS; `declared` names those that `@job` itself gave.

    Raises:
        InvalidOption: a name is unknown, or a value cannot be.
        SerializationError: a header is no plain value.
    """
    _check_names(given, where="apply_async")
    values = {name: value for name, value in given.items() if value is not None or name == "max_retries"}
    checked = {name: _checked(name, value, policy) for name, value in values.items()}
    if "countdown" in checked and "eta" in checked:
        raise InvalidOption("countdown and eta were both given. Give one of them. Nothing was enqueued.")
    queue = checked.get("queue") or _queue(options, policy, declared, route)
    layers = (route, policy.queues.get(queue, NO_ROUTE))
    seconds = _layered("expires", options, declared, layers)
    expires = checked.get("expires", ("expires_after_us", None if seconds is None else _us(seconds)))
    unique, limit = unique_terms(options, checked.get("unique_key")), limit_terms(options)
    fair = fair_terms(
        _layered("fair_key", options, declared, layers),
        checked.get("fair_key"),
        in_fair_queue="fair_key" in layers[1],
    )
    terms = Terms(
        queue=queue,
        priority=checked["priority"] if "priority" in checked else _layered("priority", options, declared, layers),
        eta_us=checked.get("eta"),
        delay_us=checked.get("countdown") or None,
        job_id=checked.get("task_id"),
        on_commit=checked.get("on_commit", True),
        using=checked.get("using"),
        eager=policy.eager,
        ignored=checked.get("ignore_result", options.ignore_result),
        carries=bool(policy.carry),
        headers=checked.get("headers", {}),
        overrides={name: checked[name] for name in OVERRIDES if name in checked},
        unique=unique,
        limit=limit,
        fair=fair,
        bound=unique is not None or limit is not None or fair is not None,
        **dict([expires]),
    )
    if "expires" in checked:
        _check_order(terms)
    if "soft_time_limit" in checked or "time_limit" in checked:
        _check_limits(checked, options)
    return terms


def _queue(options: TaskOptions, policy: Policy, declared: Container[str], route: Route) -> str:
    own = options.queue if "queue" in declared else None
    return own or route.get("queue") or options.queue or policy.default_queue


def _layered(name: str, options: TaskOptions, declared: Container[str], layers: Iterable[Route]) -> Any:
    """Return an option as `@job` gave it, else as the first layer that has it says, else as TASK_DEFAULTS do."""
    if name not in declared:
        for layer in layers:
            if layer.get(name) is not None:
                return layer[name]
    return getattr(options, name)


def _check_limits(checked: Mapping[str, Any], options: TaskOptions) -> None:
    soft = checked.get("soft_time_limit", options.soft_time_limit)
    if problem := soft_above_hard(soft, checked.get("time_limit", options.time_limit)):
        raise InvalidOption(f"{problem} Nothing was enqueued.")


def plain_mapping(values: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return named values made of JSON's types only; a name "$" stays a name here, since no tag stands at this level.

    Raises:
        SerializationError: a value that JSON cannot carry, or a name that is no string.
    """
    plain: dict[str, Any] = to_plain(values, path)
    return plain["v"] if TAG in values else plain


def _check_order(terms: Terms) -> None:
    start_after_us = None if terms.eta_us is not None else terms.delay_us or 0
    for start, end in ((start_after_us, terms.expires_after_us), (terms.eta_us, terms.expires_us)):
        if start is not None and end is not None and end <= start:
            raise InvalidOption(
                "The job would expire before it may start: expires is not later than countdown or eta. "
                "Nothing was enqueued."
            )


def _checked(name: str, value: Any, policy: Policy) -> Any:
    try:
        return _CHECKS[name](value, policy)
    except SerializationError:
        raise
    except (TypeError, ValueError) as error:
        told = f"{name}={_short(repr(value), 120)}: {_short(str(error), 400)}"
        raise InvalidOption(f"{told} Nothing was enqueued.") from None


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}..."


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _instant_us(value: Any, policy: Policy) -> int:
    if not isinstance(value, datetime):
        raise TypeError(f"it is a datetime, not {type(value).__name__}.")
    if value.tzinfo is None or value.utcoffset() is None:
        aware = value.replace(tzinfo=ZoneInfo(policy.time_zone))
        if policy.use_tz:
            raise ValueError(
                f"it is naive, and USE_TZ is True: which instant it means is open. Pass it aware, for example "
                f"django.utils.timezone.make_aware(...), which here is {aware.isoformat()} ({policy.time_zone})."
            )
        value = aware
    since = value - EPOCH
    instant_us: int = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if instant_us > LAST_US:
        raise ValueError("it lies past the year 9999 in UTC.")
    return instant_us


def _expiry(value: Any, policy: Policy) -> tuple[str, int]:
    if isinstance(value, datetime):
        return "expires_us", _instant_us(value, policy)
    return "expires_after_us", _us(check_seconds(value))


def _job_id(value: Any) -> str:
    text = str(value) if isinstance(value, UUID) else value
    if not isinstance(text, str) or not ID_PATTERN.match(text):
        raise ValueError("a job's id is 1 to 64 characters of A-Z a-z 0-9 _ . : -")
    return text


def _headers(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise TypeError(f"it is a mapping of names to plain values, not {type(value).__name__}.")
    return plain_mapping(value, "headers")


def _unique_key(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("it is a text of one character or more.")
    return value


def _fair_key(value: Any) -> str:
    try:
        return fair_text(value)
    except TypeError as error:
        raise TypeError(f"{error}.") from None


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("it is True or False.")
    return value


def _alias(value: Any) -> str:
    if value not in connections:
        raise ValueError(f"DATABASES has no such alias; it has {', '.join(sorted(connections))}.")
    return str(value)


_CHECKS: Final[Mapping[str, Callable[[Any, Policy], Any]]] = {
    "countdown": lambda value, policy: _us(check_seconds(value)),
    "eta": _instant_us,
    "expires": _expiry,
    "queue": lambda value, policy: check_queue(value),
    "priority": lambda value, policy: check_priority(value),
    "task_id": lambda value, policy: _job_id(value),
    "headers": lambda value, policy: _headers(value),
    "unique_key": lambda value, policy: _unique_key(value),
    "fair_key": lambda value, policy: _fair_key(value),
    "max_retries": lambda value, policy: check_max_retries(value),
    "default_retry_delay": lambda value, policy: check_seconds(value),
    "retry_backoff": lambda value, policy: check_backoff(value),
    "retry_backoff_max": lambda value, policy: check_seconds(value),
    "retry_jitter": lambda value, policy: _boolean(value),
    "retry_for": lambda value, policy: check_seconds(value),
    "soft_time_limit": lambda value, policy: check_limit(value),
    "time_limit": lambda value, policy: check_limit(value),
    "ignore_result": lambda value, policy: _boolean(value),
    "on_commit": lambda value, policy: _boolean(value),
    "using": lambda value, policy: _alias(value),
}
