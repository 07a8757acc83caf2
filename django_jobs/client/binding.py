"""What binds the job of one call to others: its keys, worked out from the task's options and the arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from django_jobs.core.bounds import Bounds, Conflict, Limit, Unique, arguments_digest, fair_text, key_text
from django_jobs.core.fairness import NO_KEY, FairKey, key_by_template
from django_jobs.core.options import TaskOptions
from django_jobs.core.rate import Rate, read_rate
from django_jobs.core.serializer import to_plain
from django_jobs.exceptions import InvalidArguments

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True, kw_only=True)
class UniqueTerms:
    """How the unique key of a call is made, and what it means."""

    by: str | Callable[..., Any] | None
    """The key itself, a function of the arguments, or None for the arguments themselves."""
    until_start: bool
    for_us: int | None
    conflict: Conflict


def unique_terms(options: TaskOptions, key: str | None) -> UniqueTerms | None:
    """Return the terms of a call with the option `unique_key=key`; None where the job is not unique."""
    if key is None and options.unique is False:
        return None
    return UniqueTerms(
        by=key if key is not None else None if options.unique is True else options.unique or None,
        until_start=options.unique_until == "start",
        for_us=None if options.unique_for is None else round(options.unique_for * 1_000_000),
        conflict=options.unique_conflict,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitTerms:
    """What a call waits for, and how its key is made."""

    by: Callable[..., Any] | None
    """None for the task itself."""
    option: str
    """Which option gave `by`."""
    slots: int | None
    rate: Rate | None


def limit_terms(options: TaskOptions) -> LimitTerms | None:
    """Return the terms of a task's calls; None where it has no limit."""
    if options.concurrency is None and options.rate_limit is None:
        return None
    return LimitTerms(
        by=options.concurrency_key or options.rate_key,
        option="concurrency_key" if options.concurrency_key else "rate_key",
        slots=options.concurrency,
        rate=None if options.rate_limit is None else read_rate(options.rate_limit),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FairTerms:
    """How the key of a call's turn is made."""

    by: FairKey | None
    key: str | None = None
    """The key itself, which the call names."""
    in_fair_queue: bool = False
    """Whether jobs without a key take turns too, as one key."""


def fair_terms(by: FairKey | None, key: str | None, *, in_fair_queue: bool) -> FairTerms | None:
    """Return the terms of a call with the option `fair_key=key`; None where its job stands in line by its time."""
    if by is None and key is None and not in_fair_queue:
        return None
    return FairTerms(by=by, key=key, in_fair_queue=in_fair_queue)


class Binding:
    """Makes the bounds of one task's calls."""

    __slots__ = ("_signature", "_task")

    def __init__(self, task: str, signature: inspect.Signature) -> None:
        self._task = task
        self._signature = signature

    def bounds(
        self,
        unique: UniqueTerms | None,
        limit: LimitTerms | None,
        fair: FairTerms | None,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> Bounds | None:
        """Return what binds a call whose arguments fit; None for a job that is free.

        Raises:
            InvalidArguments: a key function raised, or returned no key.
            SerializationError: JSON cannot carry an argument.
        """
        held = None if unique is None else self._unique(unique, args, kwargs)
        waits = None if limit is None else self._limit(limit, args, kwargs)
        turn = None if fair is None else self._fair(fair, args, kwargs)
        if held is None and waits is None and turn is None:
            return None
        return Bounds(unique=held, limit=waits, fair=turn)

    def _unique(self, terms: UniqueTerms, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Unique | None:
        key = self._arguments(args, kwargs) if terms.by is None else self._key("unique", terms.by, args, kwargs)
        if key is None:
            return None
        return Unique(key=key, until_start=terms.until_start, for_us=terms.for_us, conflict=terms.conflict)

    def _limit(self, terms: LimitTerms, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Limit | None:
        key = self._task if terms.by is None else self._key(terms.option, terms.by, args, kwargs)
        if key is None:
            return None
        period_us, burst = terms.rate or (None, 1)
        return Limit(key=key, slots=terms.slots, period_us=period_us, burst=burst)

    def _fair(self, terms: FairTerms, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
        key = terms.key
        if key is None and isinstance(terms.by, str):
            key = self._by_text(terms.by, args, kwargs)
        elif key is None and terms.by is not None:
            key = self._key("fair_key", terms.by, args, kwargs, fits=fair_text)
        return NO_KEY if key is None and terms.in_fair_queue else key

    def _by_text(self, template: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
        try:
            return key_by_template(template, self._signature, args, kwargs)
        except TypeError as error:
            raise InvalidArguments(
                f"fair_key={template!r} makes no key of this call of {self._task}: {error}, or None for a job without "
                "one. Nothing was enqueued."
            ) from error

    def _arguments(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """A call by position and the same by name are one key, and so is a default given or left out."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        plain = [(name, to_plain(value, f"kwargs.{name}")) for name, value in bound.arguments.items()]
        return key_text(self._task, f"={arguments_digest(_encode(plain))}")

    def _key(
        self,
        option: str,
        by: str | Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        *,
        fits: Callable[[Any], str] | None = None,
    ) -> str | None:
        try:
            value = by(*args, **kwargs) if callable(by) else by
            if value is None:
                return None
            return key_text(self._task, value) if fits is None else fits(value)
        except Exception as error:
            raise InvalidArguments(
                f"The function that makes the key of {self._task} ({option}=...) failed for this call: "
                f"{type(error).__name__}: {error}. It gets the task's arguments and returns a text, a whole number, "
                "a UUID, or None for a job that is free. Nothing was enqueued."
            ) from error
