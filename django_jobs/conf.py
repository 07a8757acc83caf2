"""The one optional setting, DJANGO_JOBS: its keys, defaults and checks. Only the edges import this."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Final

from django.conf import settings
from django.core import mail
from django.core.exceptions import ImproperlyConfigured

from django_jobs.core.declaration import Declaration, read_declaration
from django_jobs.core.fairness import check_fair_text
from django_jobs.core.options import canonical, check_priority, check_queue
from django_jobs.core.policy import Policy
from django_jobs.core.routes import read_routes
from django_jobs.exceptions import InvalidOptions, InvalidSchedule, JobsError

SETTING: Final = "DJANGO_JOBS"


class InvalidSettings(JobsError, ImproperlyConfigured):
    """Raised when DJANGO_JOBS has a key or a value that cannot be used."""


def load_policy() -> Policy:
    """Read DJANGO_JOBS from Django's settings.

    Raises:
        InvalidSettings: naming every key that is unknown or wrong.
    """
    values, problems = read(getattr(settings, SETTING, None))
    if problems:
        raise InvalidSettings("\n".join(problems))
    if in_test_run():  # stay out of the real queues
        values["namespace"] = f"test_{values.get('namespace', Policy.__dataclass_fields__['namespace'].default)}"
    return Policy(
        use_tz=settings.USE_TZ,
        time_zone=settings.TIME_ZONE,
        language=settings.LANGUAGE_CODE,
        debug=settings.DEBUG,
        **values,
    )


def in_test_run() -> bool:
    """Say whether Django's test environment is set up in this process."""
    return hasattr(mail, "outbox")


def read(given: Any) -> tuple[dict[str, Any], list[str]]:
    """Return Policy's fields as far as `given` names them, and a text for each key that is wrong."""
    if given is None:
        return {}, []
    if not isinstance(given, Mapping):
        return {}, [f"{SETTING} is {type(given).__name__}; it is a dict of settings, or not there at all."]
    values: dict[str, Any] = {}
    problems: list[str] = []
    for key, value in given.items():
        check = _CHECKS.get(key)
        if check is None:
            close = get_close_matches(str(key), list(_CHECKS), n=1, cutoff=0.5)
            hint = f" Did you mean {close[0]!r}?" if close else f" The keys are: {', '.join(sorted(_CHECKS))}."
            problems.append(f"{SETTING}[{key!r}] is not a setting.{hint}")
            continue
        try:
            values[key.lower()] = check(value)
        except (TypeError, ValueError, InvalidOptions) as error:
            problems.append(f"{SETTING}[{key!r}] = {_shown(value)}: {error}")
    if "schedules" in values:
        values["schedules"], values["broken_schedules"] = _read_schedules(values["schedules"])
    renew = values.get("session_renew_seconds", Policy.__dataclass_fields__["session_renew_seconds"].default)
    timeout = values.get("session_timeout_seconds", Policy.__dataclass_fields__["session_timeout_seconds"].default)
    if timeout < 3 * renew:
        problems.append(
            f"{SETTING}: SESSION_TIMEOUT_SECONDS ({timeout:g}) is less than three times SESSION_RENEW_SECONDS "
            f"({renew:g}); one late renewal would make a healthy worker look dead. Raise the first or lower the second."
        )
    return values, problems


def _shown(value: Any) -> str:
    """Return a value for a message, without the password of a URL."""
    return re.sub(r"://[^@/\s]*@", "://***@", repr(value))


def _seconds(minimum: float) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        seconds = value.total_seconds() if isinstance(value, timedelta) else value
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= minimum:
            raise ValueError(f"it is a duration in seconds (a number or a timedelta), at least {minimum:g}.")
        return float(seconds)

    return check


def _whole(minimum: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise ValueError(f"it is a whole number, at least {minimum}.")
        return value

    return check


REDIS_SCHEMES: Final = ("redis://", "rediss://", "unix://", "redis+sentinel://", "redis+cluster://")


def _store(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError('it is "database", "redis", a Redis URL or the dotted path of a backend.')
    if "://" in value and not value.startswith(REDIS_SCHEMES):
        raise ValueError(f"its scheme is none of {', '.join(REDIS_SCHEMES)}.")
    return value


def _result_store(value: Any) -> str | None:
    return None if value is None else _store(value)


def _alias(value: Any) -> str:
    if value not in settings.DATABASES:
        raise ValueError(f"DATABASES has no such alias; it has {', '.join(sorted(settings.DATABASES))}.")
    return str(value)


def _optional_seconds(value: Any) -> float | None:
    return None if value is None else _seconds(0.1)(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("it is True or False.")
    return value


QUEUE_KEYS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "weight": _whole(1),
    "priority": check_priority,
    "expires": _seconds(0),
    "fair_key": check_fair_text,
}
"""What QUEUES may say of a queue, and its check."""


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(item, str) for item in value):
        raise TypeError("it is a list of dotted names.")
    return tuple(value)


def _queues(value: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(value, Mapping):
        raise TypeError("it is a dict: queue name -> dict of its settings.")
    for name, options in value.items():
        check_queue(name)
        if not isinstance(options, Mapping):
            raise TypeError(f"what belongs to queue {name!r} is a dict.")
    return {
        name: {key: _queue_value(name, key, item) for key, item in options.items()} for name, options in value.items()
    }


def _queue_value(queue: str, key: Any, value: Any) -> Any:
    check = QUEUE_KEYS.get(key)
    if check is None:
        close = get_close_matches(str(key), list(QUEUE_KEYS), n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"The keys are: {', '.join(QUEUE_KEYS)}."
        raise ValueError(f"queue {queue!r} has the unknown key {key!r}. {hint}")
    try:
        return check(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"queue {queue!r}, {key}: {error}") from None


def _task_defaults(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError("it is a dict of @job's options.")
    if own := sorted({"base", "bind", "description", "schedule"} & set(value)):
        raise ValueError(f"{own[0]!r} belongs to one function. Give it to @job.")
    return canonical(value)


def _schedules(value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise TypeError("it is a dict: name of a schedule -> dict of its task, its schedule and its arguments.")
    return value


def _read_schedules(given: Mapping[Any, Any]) -> tuple[dict[str, Declaration], dict[str, str]]:
    """Return the entries that can be used, and why each of the others cannot: one bad entry stops nothing else."""
    good: dict[str, Declaration] = {}
    broken: dict[str, str] = {}
    for name, entry in given.items():
        try:
            good[name] = read_declaration(name, entry)
        except InvalidSchedule as error:
            broken[str(name)] = str(error)
    return good, broken


_CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "BROKER": _store,
    "RESULT_STORE": _result_store,
    "DATABASE": _alias,
    "NAMESPACE": check_queue,
    "DEFAULT_QUEUE": check_queue,
    "QUEUES": _queues,
    "SESSION_RENEW_SECONDS": _seconds(0.05),
    "SESSION_TIMEOUT_SECONDS": _seconds(0.2),
    "SESSION_FENCE_SECONDS": _optional_seconds,
    "GRACE_SECONDS": _seconds(0),
    "CANCEL_GRACE_SECONDS": _seconds(0),
    "MAX_CRASHES": _whole(1),
    "MAX_PAYLOAD_BYTES": _whole(1024),
    "MAX_RESULT_BYTES": _whole(1024),
    "RESULT_TTL_SECONDS": _seconds(0),
    "FAILED_RESULT_TTL_SECONDS": _seconds(0),
    "TASK_DEFAULTS": _task_defaults,
    "ROUTES": read_routes,
    "OUTBOX": _boolean,
    "EAGER": _boolean,
    "EAGER_PROPAGATES": _boolean,
    "MIDDLEWARE": _names,
    "CARRY": _names,
    "SCHEDULES": _schedules,
}
SETTING_KEYS: Final = tuple(_CHECKS)
