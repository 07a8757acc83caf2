"""What `@job` returns: a function that can also be enqueued."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, Self, TypeVar, Unpack

from asgiref.sync import sync_to_async

from django_jobs.client import producer
from django_jobs.client.arguments import CallShape
from django_jobs.client.binding import Binding
from django_jobs.client.eager import EagerResult
from django_jobs.client.hooks import HookMethods, overridden
from django_jobs.client.result import AsyncResult, IgnoredResult
from django_jobs.client.terms import CallOptions, Terms, agree, check_bindable, merge
from django_jobs.connections import connections
from django_jobs.core.message import Message
from django_jobs.core.options import TaskOptions
from django_jobs.core.policy import Policy
from django_jobs.core.routes import NO_ROUTE
from django_jobs.core.spec import TaskSpec
from django_jobs.exceptions import InvalidArguments, SerializationError
from django_jobs.execution.bound import UNSET, Unset, build_retry
from django_jobs.execution.context import Request, current_job
from django_jobs.execution.eager import run_eagerly
from django_jobs.registry import registry

P = ParamSpec("P")
R = TypeVar("R")


class Task(HookMethods, Generic[P, R]):
    """A registered function with its options. Calling it runs the function here; `delay` enqueues a job of it.

    `P` are the function's parameters (without `self` of a bound one), `R` is what a job of it returns.
    """

    __name__: str
    __qualname__: str

    def __init__(self, spec: TaskSpec) -> None:
        self.spec = replace(spec, task=self, hooks=overridden(self))
        self._function: Callable[..., Any] = spec.function
        self._bind = bool(spec.given.get("bind"))
        self._shape = CallShape(spec.name, spec.signature)
        self._binding = Binding(spec.name, spec.signature)
        self._bound: Mapping[str, Any] = {}
        self._plain_terms: tuple[Policy, Terms] | None = None
        functools.update_wrapper(self, spec.function, updated=())
        self.__signature__ = spec.signature

    @property
    def name(self) -> str:
        """The name under which a job finds the function."""
        return self.spec.name

    @property
    def options(self) -> TaskOptions:
        """The task's options over TASK_DEFAULTS."""
        return self.spec.options_over(connections.policy.task_defaults)

    def __repr__(self) -> str:
        using = "".join(f" {name}={value!r}" for name, value in self._bound.items())
        return f"<{type(self).__name__} {self.name}{using}>"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _restore, (self.name, dict(self._bound))

    # -- here --------------------------------------------------------------------------------------------------

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run the function here and now, as if it were undecorated: no job, no record, no retry."""
        if self._bind:
            return self._function(self, *args, **kwargs)
        return self._function(*args, **kwargs)

    def apply(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> EagerResult[R]:
        """Run a job of this task here and now, as a worker would: through the serializer, with retries but no waits.

        Start and expiry are not waited for, and nothing is stored.

        Raises:
            InvalidArguments, InvalidOption, SerializationError: as from `apply_async`.
        """
        return self._run_here(args or (), kwargs or {}, self._terms(options, args or (), kwargs or {}))

    def _run_here(self, args: Sequence[Any], kwargs: Mapping[str, Any], terms: Terms) -> EagerResult[R]:
        message = self._message(args, kwargs, terms)
        root_id, parent_id = producer.lineage()
        run = run_eagerly(
            self.spec,
            args,
            kwargs,
            policy=connections.policy,
            job_id=message.id,
            queue=terms.queue,
            priority=terms.priority,
            options=terms.overrides,
            headers=terms.headers,
            root_id=root_id,
            parent_id=parent_id,
        )
        return EagerResult(run)

    @property
    def request(self) -> Request:
        """The job of this task that runs here; outside of one, a request that was `called_directly`."""
        job = current_job()
        return (
            job if job is not None and job.task == self.name else Request(id="", task=self.name, called_directly=True)
        )

    def retry(
        self,
        exc: BaseException | None = None,
        *,
        countdown: float | timedelta | None = None,
        eta: datetime | None = None,
        max_retries: int | Unset | None = UNSET,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> NoReturn:
        """Run the job again: raises `Retry`. Outside of a job, raises `exc` or the error that is being handled.

        `countdown` is in seconds; without it and `eta` the task's options say how long to wait. `max_retries` is None
        for ever. `args` and `kwargs` take the place of the job's own from now on.
        Once no retries are left the job fails with `exc`, or with MaxRetriesExceededError without one.

        Raises:
            InvalidOption: a value that cannot be.
            Retry: in a job of this task.
        """
        retry = build_retry(
            exc=exc,
            countdown=countdown,
            eta=eta,
            max_retries=max_retries,
            args=args,
            kwargs=kwargs,
            now=datetime.now(UTC),
        )
        if self.request.called_directly and (error := exc or sys.exception()) is not None:
            raise error
        raise retry from exc

    def update_progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Say how far the job of this task is that runs here; outside of one it is only checked."""
        self.request.update_progress(done, total, message)

    def update_state(self, *, state: str | None = None, meta: Any = None) -> None:
        """Say what state of its own the job of this task is in that runs here."""
        self.request.update_state(state=state, meta=meta)

    # -- elsewhere ---------------------------------------------------------------------------------------------

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """Enqueue a job with these arguments; where EAGER is set, run it here and now.

        Atomic: joins the open transaction where the broker is in that database; see `client.producer.send`.
        Blocks: 3 s at most, where the broker does not answer.

        Raises:
            InvalidArguments: they do not fit the function.
            SerializationError: JSON cannot carry one of them, or they are too large.
            UniqueConflict: another job holds the key of a task with unique_conflict="raise".
            BrokerUnavailable: the job was not queued.
        """
        return self._enqueue(args, kwargs, self._terms(None, args, kwargs))

    def apply_async(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> AsyncResult[R]:
        """Enqueue a job with these arguments and options (see `client.terms.CallOptions`).

        Raises:
            InvalidOption: an option is unknown, or its value cannot be.
            InvalidArguments, SerializationError, BrokerUnavailable: as from `delay`.
        """
        return self._enqueue(args or (), kwargs or {}, self._terms(options, args or (), kwargs or {}))

    def delay_many(self, calls: Iterable[tuple[Sequence[Any], Mapping[str, Any]]]) -> list[AsyncResult[R]]:
        """Enqueue a job for each `(args, kwargs)`, in order; all are checked before the first one is sent.

        Atomic: 1000 jobs at a time; all of them inside a transaction that the broker joins.

        Raises:
            InvalidArguments, SerializationError: naming the call by its number from 0. Nothing was enqueued.
            BrokerUnavailable: the broker went away; what was handed over before is queued.
        """
        policy = connections.policy
        if policy.eager:
            calls = list(calls)
        shared = None if policy.routes.is_dynamic else self._terms(None, (), {})
        messages = [self._numbered(number, call, shared) for number, call in enumerate(calls)]
        if policy.eager:
            return [self.apply_async(args, kwargs) for args, kwargs in calls]
        on_commit, using = self._bound.get("on_commit", True), self._bound.get("using")
        is_ignored = self._bound.get("ignore_result", self.options.ignore_result) if shared is None else shared.ignored
        kind = IgnoredResult if is_ignored else AsyncResult
        if self.options.unique or self._bound.get("unique_key"):
            return [kind(job_id) for job_id in producer.send_unique(messages, on_commit=on_commit, using=using)]
        producer.send(messages, on_commit=on_commit, using=using)
        return [kind(message.id) for message in messages]

    async def adelay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        """Do what `delay` does, for async callers."""
        return await sync_to_async(self.delay)(*args, **kwargs)

    async def aapply_async(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> AsyncResult[R]:
        """Do what `apply_async` does, for async callers."""
        return await sync_to_async(self.apply_async)(args, kwargs, **options)

    enqueue = delay
    aenqueue = adelay
    # Celery's names for what enqueueing does here anyway.
    delay_on_commit = delay
    apply_async_on_commit = apply_async

    def using(self, **options: Unpack[CallOptions]) -> Self:
        """Return this task with options of `apply_async` bound for all its calls; this one stays as it is.

        Raises:
            InvalidOption: an option is unknown, or is the id of one job. Values are checked at the call.
        """
        check_bindable(options)
        bound = object.__new__(type(self))
        bound.__dict__.update(self.__dict__, _bound=merge(self._bound, options), _plain_terms=None)
        return bound

    def _enqueue(self, args: Sequence[Any], kwargs: Mapping[str, Any], terms: Terms) -> AsyncResult[R]:
        if terms.eager:
            return self._run_eagerly(args, kwargs, terms)
        message = self._message(args, kwargs, terms)
        job_id = message.id
        if terms.unique is None:
            producer.send((message,), on_commit=terms.on_commit, using=terms.using)
        else:
            job_id = producer.send_unique((message,), on_commit=terms.on_commit, using=terms.using)[0]
        return IgnoredResult(job_id) if terms.ignored else AsyncResult(job_id)

    def _run_eagerly(self, args: Sequence[Any], kwargs: Mapping[str, Any], terms: Terms) -> AsyncResult[R]:
        """Run the job as EAGER asks; its error is raised as it is, unless EAGER_PROPAGATES is off."""
        result = self._run_here(args, kwargs, terms)
        if result.error is not None and connections.policy.eager_propagates:
            raise result.error
        return result

    def _message(self, args: Sequence[Any], kwargs: Mapping[str, Any], terms: Terms) -> Message:
        if not isinstance(args, list | tuple) or not isinstance(kwargs, Mapping):
            raise InvalidArguments(
                f"{self.name} was given {type(args).__name__} as args and {type(kwargs).__name__} as kwargs. Give "
                "a list or tuple and a mapping, as in apply_async((1, 2), {'name': 3}). Nothing was enqueued."
            )
        self._shape.check(args, kwargs)
        bounds = self._binding.bounds(terms.unique, terms.limit, terms.fair, args, kwargs) if terms.bound else None
        return producer.build(
            self.spec.name, args, kwargs, terms, max_payload_bytes=connections.policy.max_payload_bytes, bounds=bounds
        )

    def _numbered(self, number: int, call: tuple[Sequence[Any], Mapping[str, Any]], shared: Terms | None) -> Message:
        try:
            args, kwargs = call
        except (TypeError, ValueError):
            raise InvalidArguments(
                f"Call {number} of delay_many is no pair of args and kwargs, as ((1, 2), {{}}). Nothing was enqueued."
            ) from None
        try:
            terms = self._terms(None, args, kwargs) if shared is None else shared
            return self._message(args, kwargs, terms)
        except (InvalidArguments, SerializationError) as error:
            raise type(error)(f"Call {number} of delay_many: {error}") from None

    def _terms(self, options: Mapping[str, Any] | None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Terms:
        policy = connections.policy
        kept = self._plain_terms
        if not options and kept is not None and kept[0] is policy:
            return kept[1]
        given = merge(self._bound, options) if options else self._bound
        declared = self.spec.given
        is_routed = "queue" not in declared and given.get("queue") is None
        terms = agree(
            given,
            options=self.options,
            policy=policy,
            declared=declared,
            route=policy.routes.find(self.name, args, kwargs, given) if is_routed else NO_ROUTE,
        )
        if not options and not policy.routes.is_dynamic:
            self._plain_terms = policy, terms
        return terms


class FunctionTask(Task[P, R]):
    """The task of a plain function."""

    if TYPE_CHECKING:

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...


class CoroutineTask(Task[P, R]):
    """The task of a coroutine function: calling it returns a coroutine, its jobs return what that returns."""

    if TYPE_CHECKING:

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]: ...


def task_named(name: str) -> Task[..., Any]:
    """Return the task of this name, looking into the apps' jobs.py and tasks.py where it is not known yet.

    Raises:
        TaskNotRegistered: with the names that are alike.
    """
    spec = registry.require(name)
    return spec.task if spec.task is not None else Task(spec)


def message_for(name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]) -> Message:
    """Return the message of a call by name, checked as `apply_async` checks it; nothing is sent.

    Raises:
        TaskNotRegistered: no `@job` of the project has the name.
        InvalidArguments, InvalidOption, SerializationError: as from `Task.apply_async`.
    """
    task = task_named(name)
    return task._message(args, kwargs, task._terms(options, args, kwargs))


def enqueue(name: str, /, *args: Any, **kwargs: Any) -> AsyncResult[Any]:
    """Enqueue a job of the task with this name, as `delay` does; the name must be registered in this process too.

    Raises:
        TaskNotRegistered: no `@job` of the project has the name. Nothing was enqueued.
        InvalidArguments, SerializationError, BrokerUnavailable: as from `Task.delay`.
    """
    return task_named(name).delay(*args, **kwargs)


def _restore(name: str, bound: Mapping[str, Any]) -> Task[..., Any]:
    """Return the task that was pickled or copied; only its name and the options bound to it travel."""
    task = task_named(name)
    return task.using(**bound) if bound else task
