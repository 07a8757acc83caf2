"""The options of a task: their names, types, ranges and defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from functools import partial
from typing import Any, Final, cast

from django_jobs.core.bounds import CONFLICTS, Conflict
from django_jobs.core.fairness import FairKey, check_fair_key
from django_jobs.core.message import PRIORITY_MAX, PRIORITY_MIN, QUEUE_PATTERN
from django_jobs.core.rate import read_rate
from django_jobs.core.schedule import Schedule
from django_jobs.core.spelling import ALIASES, spread
from django_jobs.exceptions import InvalidOptions

DEFAULT_DELAY_SECONDS: Final = 10.0
DEFAULT_DELAY_MAX_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """What a task asks for; made once per task from TASK_DEFAULTS and the decorator's arguments."""

    queue: str | None = None
    """None takes DEFAULT_QUEUE."""
    priority: int = 0
    bind: bool = False
    retry_on: tuple[type[BaseException], ...] = ()
    dont_retry_on: tuple[type[BaseException], ...] = ()
    max_retries: int | None = 3
    """Retries after the first run; None for ever."""
    default_retry_delay: float | None = None
    """Seconds before a retry, the same each time; None doubles from 10 s."""
    retry_backoff: float | None = None
    """Factor in seconds, doubled per failure (True = 1); None or False for none."""
    retry_backoff_max: float = DEFAULT_DELAY_MAX_SECONDS
    retry_jitter: bool = True
    """Draw each growing delay at random between 0 and its value."""
    retry_for: float | None = None
    """Seconds after the start of the first run past which no retry begins; None for no deadline."""
    expires: float | None = None
    """Seconds after the enqueue; not started by then = dropped."""
    ignore_result: bool = False
    result_ttl: float | None = None
    """Seconds after which a success is pruned, where that is sooner than RESULT_TTL_SECONDS; None leaves it to that."""
    acks_late: bool = True
    """False: at most once. The job ends FAILED where the process that runs it dies."""
    acks_on_failure: bool = True
    """False: no error ends the job. It runs again as if `retry_on` named them all, and the hard limit of time, too."""
    atomic: bool = False
    """Run in one transaction on the DATABASE alias, together with the settle; for the database broker."""
    soft_time_limit: float | None = None
    """Seconds after which SoftTimeLimitExceeded is raised in the job; None for no limit."""
    time_limit: float | None = None
    """Seconds after which the process that runs the job is killed; None for no limit."""
    unique: bool | Callable[..., Any] = False
    """True: one job for each set of arguments; a function of the arguments returns the key (None for a free job)."""
    unique_until: str = "finished"
    """When the key is free again: "finished" is the end of the job, "start" its first claim."""
    unique_for: float | None = None
    """Seconds after the enqueue at which the key is free again, whether the job has ended or not."""
    unique_conflict: Conflict = "existing"
    """While the key is held: return the job that holds it, replace it if it waits, or raise."""
    concurrency: int | None = None
    """At most so many of the task's jobs at a time, over all workers; with a key so many for each key."""
    concurrency_key: Callable[..., Any] | None = None
    """A function of the arguments that returns the key of `concurrency` (None for a free job)."""
    rate_limit: str | None = None
    """How many of the task's jobs start in a time, over all workers; with a key so many for each key."""
    rate_key: Callable[..., Any] | None = None
    """The same function for `rate_limit`. A task has one key: whichever is given counts for both limits."""
    fair_key: FairKey | None = None
    """By which jobs of a queue take turns: a text with names of arguments, as "{shop_id}", or a function of them."""
    keep_logs: bool = False
    """Keep the newest log lines of a job with it, for a day."""
    throws: tuple[type[BaseException], ...] = ()
    """Expected errors: the job fails, but is logged at INFO without a traceback; `get` raises them as themselves."""
    before_start: Callable[..., Any] | None = None
    """Hooks: called with the bound task and the arguments of Celery's methods of these names."""
    on_success: Callable[..., Any] | None = None
    on_failure: Callable[..., Any] | None = None
    on_retry: Callable[..., Any] | None = None
    after_return: Callable[..., Any] | None = None
    base: type | None = None
    """A subclass of Task with methods of one's own, hooks among them."""
    schedule: Schedule | None = None
    """When a beat enqueues a job without arguments: `crontab(...)` or `every(...)`."""
    admin_runnable: bool = False
    """Whether people with the permission may run it from the admin, with arguments of their own."""
    description: str = ""


WORKER_LOST: Final = "reject_on_worker_lost"
"""Celery's option for what is the rule here."""

RETURNS: Final = 100
"""Retries of a task with acks_on_failure=False that does not say how many: one that never succeeds ends some time."""

HOOKS: Final[Mapping[str, str]] = {
    "before_start": "self, task_id, args, kwargs",
    "on_success": "self, retval, task_id, args, kwargs",
    "on_failure": "self, exc, task_id, args, kwargs, einfo",
    "on_retry": "self, exc, task_id, args, kwargs, einfo",
    "after_return": "self, status, retval, task_id, args, kwargs, einfo",
}
"""Hook -> the parameters with which it is called, as in Celery."""

OPTION_NAMES: Final = frozenset(field.name for field in fields(TaskOptions))


def resolve(given: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> TaskOptions:
    """Merge `given` over `defaults` over our own defaults.

    Raises:
        InvalidOptions: a name is unknown, or a value is of the wrong type or out of its range.
    """
    merged = {**canonical(defaults or {}, where="TASK_DEFAULTS"), **canonical(given)}
    if problem := soft_above_hard(merged.get("soft_time_limit"), merged.get("time_limit")):
        raise InvalidOptions(f"{problem} One of the two comes from TASK_DEFAULTS.")
    check_together(merged)
    if merged.get("acks_on_failure") is False:
        merged.setdefault("max_retries", RETURNS)
    return replace(TaskOptions(), **merged)


def with_limits(options: TaskOptions, *, soft_seconds: float | None, hard_seconds: float | None) -> TaskOptions:
    """Return `options` with limits of time where it has none; a soft one only below the hard one."""
    soft = soft_seconds if options.soft_time_limit is None else options.soft_time_limit
    hard = hard_seconds if options.time_limit is None else options.time_limit
    if soft_above_hard(soft, hard):  # one of them is the task's own, and stays
        soft, hard = options.soft_time_limit, options.time_limit
    return replace(options, soft_time_limit=soft, time_limit=hard)


def soft_above_hard(soft_seconds: float | None, hard_seconds: float | None) -> str:
    """Say what is wrong with a soft limit of time above the hard one; empty text where nothing is."""
    if soft_seconds is None or hard_seconds is None or soft_seconds <= hard_seconds:
        return ""
    return (
        f"soft_time_limit ({soft_seconds:g} s) is above time_limit ({hard_seconds:g} s): the process would be killed "
        "before the job hears of its soft limit."
    )


def check_together(checked: Mapping[str, Any]) -> None:
    """Refuse options (by our names, each checked) that contradict each other.

    Raises:
        InvalidOptions: saying which.
    """
    if checked.get("unique_for") is not None and checked.get("unique_until") == "start":
        raise InvalidOptions(
            "unique_for and unique_until='start' are both given: a key is held for a time or until the start. Keep one."
        )
    if checked.get("acks_on_failure") is False and checked.get("acks_late") is False:
        raise InvalidOptions(
            "acks_on_failure=False and acks_late=False are both given: a job runs again after each failure, or starts "
            "once at most. Keep one."
        )
    if checked.get("atomic") and checked.get("acks_late") is False:
        raise InvalidOptions(
            "atomic=True and acks_late=False are both given: what a job wrote is rolled back when its process dies, so "
            "that it has to run again. Keep one."
        )
    concurrency_key, rate_key = checked.get("concurrency_key"), checked.get("rate_key")
    if concurrency_key is not None and rate_key is not None and concurrency_key is not rate_key:
        raise InvalidOptions(
            "concurrency_key and rate_key are different functions: a task has one key, which counts for both limits. "
            "Keep one."
        )
    for key, limit in (("concurrency_key", "concurrency"), ("rate_key", "rate_limit")):
        if checked.get(key) is not None and checked.get(limit) is None:
            raise InvalidOptions(f"{key} is given without {limit}: there is nothing to count by it. Add {limit}.")


def canonical(given: Mapping[str, Any], *, where: str = "") -> dict[str, Any]:
    """Return `given` with our names and checked, normalised values.

    Raises:
        InvalidOptions: see `resolve`; `where` begins the text.
    """
    prefix = f"{where}: " if where else ""
    checked: dict[str, Any] = {}
    try:
        given = spread(given)
    except ValueError as error:
        raise InvalidOptions(f"{prefix}{error}") from None
    for name, value in given.items():
        if name == WORKER_LOST:
            _check_worker_lost(value, prefix)
            continue
        own = ALIASES.get(name, name)
        if own not in OPTION_NAMES:
            close = get_close_matches(name, [*OPTION_NAMES, *ALIASES], n=3)
            hint = (
                f" Did you mean {' or '.join(close)}?"
                if close
                else f" The options are: {', '.join(sorted(OPTION_NAMES))}."
            )
            raise InvalidOptions(f"{prefix}{name!r} is not an option of a task.{hint}")
        if own in checked:
            raise InvalidOptions(f"{prefix}{name!r} and its other spelling are both given. Keep one.")
        try:
            checked[own] = _CHECKS[own](value)
        except (TypeError, ValueError) as error:
            raise InvalidOptions(f"{prefix}{name}={value!r}: {error}") from None
    if problem := soft_above_hard(checked.get("soft_time_limit"), checked.get("time_limit")):
        raise InvalidOptions(f"{prefix}{problem}")
    return checked


def _check_worker_lost(value: Any, prefix: str) -> None:
    """Take Celery's option where it says what is so anyway."""
    if value not in {True, None}:
        raise InvalidOptions(
            f"{prefix}{WORKER_LOST}={value!r}: a job whose process dies runs again, whatever is set. For one that must "
            "not start twice use acks_late=False; it ends FAILED with WorkerLostError then."
        )


def check_queue(value: Any) -> str:
    """Return a queue's name, or raise ValueError saying what one looks like."""
    if not isinstance(value, str) or not QUEUE_PATTERN.match(value):
        raise ValueError(f"a queue's name is 1 to 128 characters of A-Z a-z 0-9 _ . : - (it is {value!r}).")
    return value


def check_priority(value: Any) -> int:
    """Return a priority, or raise ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or not PRIORITY_MIN <= value <= PRIORITY_MAX:
        raise ValueError(f"a priority is a whole number from {PRIORITY_MIN} to {PRIORITY_MAX}, higher first.")
    return value


def check_max_retries(value: Any) -> int | None:
    """Return a number of retries (None for ever), or raise ValueError."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("it is a whole number of retries, 0 or more, or None for ever.")
    return value


def check_seconds(value: Any) -> float:
    """Return a duration in seconds, or raise ValueError."""
    seconds = value.total_seconds() if hasattr(value, "total_seconds") else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 10**10:
        raise ValueError("it is a duration in seconds (a number or a timedelta), 0 or more.")
    return float(seconds)


def check_limit(value: Any) -> float:
    """Return a limit of time in seconds, or raise ValueError."""
    seconds = check_seconds(value)
    if not seconds:
        raise ValueError("a limit of time is above 0 seconds; None is for no limit.")
    return seconds


def _optional(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else check(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("it is True or False.")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("it is a string.")
    return value


def _errors(value: Any) -> tuple[type[BaseException], ...]:
    classes = (value,) if isinstance(value, type) else tuple(value)
    for item in classes:
        if not (isinstance(item, type) and issubclass(item, BaseException)):
            raise TypeError(f"it is a tuple of exception classes, and {item!r} is none.")
    return classes


def check_hook(name: str, value: Any) -> Callable[..., Any]:
    """Return a hook that can be called as it will be, or raise TypeError."""
    if not callable(value):
        raise TypeError("it is a function.")
    try:
        inspect.signature(value).bind(*HOOKS[name].split(", "))
    except TypeError:
        raise TypeError(f"it is called with ({HOOKS[name]}).") from None
    except ValueError:  # written in C, without a signature
        pass
    return cast(Callable[..., Any], value)


def _base(value: Any) -> type:
    if not isinstance(value, type):
        raise TypeError("it is a class, a subclass of django_jobs.Task.")
    return value


def _unique(value: Any) -> bool | Callable[..., Any]:
    if not isinstance(value, bool) and not callable(value):
        raise TypeError("it is True, False, or a function that takes the task's arguments and returns a key.")
    made: bool | Callable[..., Any] = value
    return made


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1_000_000:
        raise ValueError("it is a whole number of jobs, 1 or more, or None for any number.")
    return value


def _key_function(value: Any) -> Callable[..., Any]:
    if not callable(value):
        raise TypeError("it is a function that takes the task's arguments and returns a key.")
    made: Callable[..., Any] = value
    return made


def _rate(value: Any) -> str:
    read_rate(value)
    return value if isinstance(value, str) else f"{value}/s"


def _one_of(*choices: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"it is one of {', '.join(map(repr, choices))}.")
        return str(value)

    return check


def _positive_seconds(value: Any) -> float:
    seconds = check_seconds(value)
    if not seconds:
        raise ValueError("it is more than 0 seconds.")
    return seconds


def _schedule(value: Any) -> Schedule:
    if not isinstance(value, Schedule):
        raise TypeError("it is crontab(...) or every(...) from django_jobs.")
    return value


def check_backoff(value: Any) -> float | None:
    """Return the factor of growing delays in seconds (None for none), or raise ValueError."""
    if value is None or value is False:
        return None
    return 1.0 if value is True else check_seconds(value)


_CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "queue": _optional(check_queue),
    "priority": check_priority,
    "bind": _boolean,
    "retry_on": _errors,
    "dont_retry_on": _errors,
    "max_retries": check_max_retries,
    "default_retry_delay": _optional(check_seconds),
    "retry_backoff": check_backoff,
    "retry_backoff_max": check_seconds,
    "retry_jitter": _boolean,
    "retry_for": _optional(check_seconds),
    "expires": _optional(check_seconds),
    "ignore_result": _boolean,
    "result_ttl": _optional(check_seconds),
    "acks_late": _boolean,
    "acks_on_failure": _boolean,
    "atomic": _boolean,
    "soft_time_limit": _optional(check_limit),
    "time_limit": _optional(check_limit),
    "unique": _unique,
    "unique_until": _one_of("finished", "start"),
    "unique_for": _optional(_positive_seconds),
    "unique_conflict": _one_of(*CONFLICTS),
    "concurrency": _optional(_count),
    "concurrency_key": _optional(_key_function),
    "rate_limit": _optional(_rate),
    "rate_key": _optional(_key_function),
    "fair_key": _optional(check_fair_key),
    "keep_logs": _boolean,
    "throws": _errors,
    **{name: _optional(partial(check_hook, name)) for name in HOOKS},
    "base": _optional(_base),
    "schedule": _optional(_schedule),
    "admin_runnable": _boolean,
    "description": _text,
}
