"""Django's own tasks over our producer: `TASKS = {"default": {"BACKEND": "django_jobs.django_tasks.JobsBackend"}}`.

For `django.tasks` of Django 6.0 and later, and for the backport `django-tasks` on 5.2, which has other names for two
errors. A backend is built once per thread, while the modules of apps are imported: it holds nothing, and asks nobody.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast

import django
from django.core.checks import CheckMessage
from django.utils import timezone

if TYPE_CHECKING or django.VERSION >= (6, 0):
    from django.tasks import TaskContext, TaskResultStatus, task_backends
    from django.tasks.backends.base import BaseTaskBackend
    from django.tasks.base import Task, TaskError, TaskResult
    from django.tasks.exceptions import InvalidTask, InvalidTaskBackend, TaskResultDoesNotExist
    from django.tasks.signals import task_enqueued, task_finished, task_started
    from django.utils.json import normalize_json
else:
    from django_tasks import TaskContext, TaskResultStatus, task_backends
    from django_tasks.backends.base import BaseTaskBackend
    from django_tasks.base import Task, TaskError, TaskResult
    from django_tasks.exceptions import InvalidTaskBackendError as InvalidTaskBackend
    from django_tasks.exceptions import InvalidTaskError as InvalidTask
    from django_tasks.exceptions import TaskResultDoesNotExist
    from django_tasks.signals import task_enqueued, task_finished, task_started
    from django_tasks.utils import normalize_json

from django_jobs.checks import wrong_with_task_backend
from django_jobs.client.decorator import job, signature_of
from django_jobs.client.eager import EagerResult
from django_jobs.client.result import AsyncResult, error_of
from django_jobs.client.task import Task as JobTask
from django_jobs.connections import connections
from django_jobs.core import attempts as attempt_list
from django_jobs.core.attempts import AttemptRecord
from django_jobs.core.claim import Claim
from django_jobs.core.message import QUEUE_PATTERN, decode_body
from django_jobs.core.options import canonical
from django_jobs.core.outcome import FINAL, ErrorInfo, JobView, Outcome, StoredResult
from django_jobs.core.serializer import decode_value, from_plain, to_plain
from django_jobs.core.states import DJANGO_NAMES, State
from django_jobs.exceptions import InvalidOptions, JobCancelled, JobExpired
from django_jobs.exceptions import TaskError as WrongTask
from django_jobs.execution.bound import BoundTask
from django_jobs.execution.context import Request
from django_jobs.registry import registry
from django_jobs.signals import job_cancelled, job_expired, job_failed, job_quarantined, job_succeeded

HEADER: Final = "django_tasks"
"""Of a job: the alias that enqueued it, when by that process's clock, and the task's `run_after`."""
NOT_IN_OPTIONS: Final = frozenset({"bind", "description", "priority", "queue", "schedule"})
_UNRUN: Final = {State.CANCELLED: JobCancelled, State.EXPIRED: JobExpired}
_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Declared:
    """A task of Django's as it was declared, and ours that stands for it."""

    task: Task[..., Any]
    job: JobTask[..., Any]


_declared: dict[str, Declared] = {}
"""By module and qualified name. Filled at import: a worker runs no name that its own code has not declared."""


class JobsBackend(BaseTaskBackend):
    """Enqueues Django's tasks as jobs; workers run them beside all others.

    OPTIONS are options of `@job` for the tasks that are declared with this alias, as `{"max_retries": 5}`. Without
    `retry_on` a task that raises has failed, as with Django's own backends.
    """

    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def __init__(self, alias: str, params: Mapping[str, Any]) -> None:
        super().__init__(alias, dict(params))
        try:
            self.job_options = canonical(self.options)
            if refused := sorted(NOT_IN_OPTIONS & set(self.job_options)):
                raise InvalidOptions(f"{refused[0]!r} belongs to one task. Give it to @task, if it has it.")
        except InvalidOptions as error:
            raise InvalidTaskBackend(f"TASKS[{alias!r}]['OPTIONS']: {error}") from None

    def validate_task(self, task: Task[..., Any]) -> None:
        """Accept a task, and make it known to the workers of this code.

        Raises:
            InvalidTask: Django's rules refuse it, its queue has a name that cannot be, or it is a `@job` already.
        """
        super().validate_task(task)
        if not QUEUE_PATTERN.match(task.queue_name):
            raise InvalidTask(
                f"Queue {task.queue_name!r} cannot be: its name is 1 to 128 characters of A-Z a-z 0-9 _ . : -"
            )
        self._declare(task)

    def enqueue(self, task: Task[_P, _R], args: Sequence[Any], kwargs: Mapping[str, Any]) -> TaskResult[_P, _R]:
        """Enqueue a job, inside the caller's transaction where the broker is in that database.

        Where EAGER is set it runs here and now, and the result that is returned is the only one.

        Raises:
            InvalidTask: as from `validate_task`; settings may have changed.
            TypeError: the arguments do not fit the function, or JSON cannot carry one.
            BrokerUnavailable: nothing was enqueued.
        """
        self.validate_task(task)
        given: Any = normalize_json(list(args))
        named: Any = normalize_json(dict(kwargs))
        now = datetime.now(UTC)
        handle = _declared[task.module_path].job.apply_async(
            given,
            named,
            queue=task.queue_name,
            priority=int(task.priority),
            eta=task.run_after,
            headers={HEADER: [self.alias, now, task.run_after]},
        )
        if isinstance(handle, EagerResult):
            return cast("TaskResult[_P, _R]", _finished(task, handle.stored, self.alias))
        result: TaskResult[_P, _R] = TaskResult(
            task=task,
            id=handle.id,
            status=TaskResultStatus.READY,
            enqueued_at=_shown(now),
            started_at=None,
            last_attempted_at=None,
            finished_at=None,
            args=given,
            kwargs=named,
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )
        task_enqueued.send_robust(type(self), task_result=result)
        return result

    def get_result(self, result_id: str) -> TaskResult[..., Any]:
        """Return what became of a job, by at most three short queries.

        Raises:
            TaskResultDoesNotExist: nobody knows the id (any more), or it is the job of no task of Django's.
        """
        handle = AsyncResult[Any](result_id)
        stored, view = handle._look()
        found = stored or view
        if found is None:
            raise TaskResultDoesNotExist(handle.id)
        registry.get(found.task)  # looks into the apps' tasks.py, once per process
        declared = _declared.get(found.task)
        if declared is None:
            raise TaskResultDoesNotExist(
                f"{handle.id} is a job of {found.task}, which this code declares with no @task."
            )
        return _result(declared.task, found, self.alias)

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        """Return what is wrong with this alias in TASKS (see docs/reference/checks.md)."""
        return wrong_with_task_backend(self.alias, sorted(self.queues))

    def _declare(self, task: Task[..., Any]) -> None:
        name = task.module_path
        known = _declared.get(name)
        if known is not None and known.task.func is task.func:
            return
        try:
            made: JobTask[..., Any] = job(name=name, bind=True, **self.job_options)(_runner(task))
        except WrongTask as error:
            raise InvalidTask(str(error)) from error
        _declared[name] = Declared(task, made)
        _listen(name)


# -- running one -------------------------------------------------------------------------------------------------


def _runner(task: Task[..., Any]) -> Callable[..., Any]:
    """Return the function of the job: Django's signals and context around the task's own function."""
    if inspect.iscoroutinefunction(task.func):

        @wraps(task.func)
        async def run(bound: BoundTask, /, *args: Any, **kwargs: Any) -> Any:
            result = _running(task, bound.request)
            sender = type(task_backends[result.backend])
            await task_started.asend_robust(sender, task_result=result)
            given = (TaskContext(task_result=result), *args) if task.takes_context else args
            return _checked(await task.func(*given, **kwargs))

    else:

        @wraps(task.func)
        def run(bound: BoundTask, /, *args: Any, **kwargs: Any) -> Any:
            result = _running(task, bound.request)
            sender = type(task_backends[result.backend])
            task_started.send_robust(sender, task_result=result)
            given = (TaskContext(task_result=result), *args) if task.takes_context else args
            return _checked(task.func(*given, **kwargs))

    run.__signature__ = _signature(task)  # type: ignore[attr-defined]  # functions may have one; inspect reads it
    return run


def _signature(task: Task[..., Any]) -> inspect.Signature:
    """Return the function's signature with one first parameter for the bound task, in the place of `context`."""
    signature = signature_of(task.func)
    parameters = list(signature.parameters.values())[1 if task.takes_context else 0 :]
    first = inspect.Parameter("bound", inspect.Parameter.POSITIONAL_ONLY)
    return signature.replace(parameters=[first, *(p for p in parameters if p.name != "bound")])


def _checked(value: Any) -> Any:
    """Return a task's value as Django has it; what no store can carry fails the task here (TypeError)."""
    value = normalize_json(value)
    to_plain(value, "The returned value")
    return value


def _running(task: Task[..., Any], request: Request) -> TaskResult[..., Any]:
    """Return the result of a task that is about to run. Of earlier attempts only their number is known here."""
    alias, enqueued_at, run_after = request.headers.get(HEADER) or (task.backend, None, None)
    now = _shown(datetime.now(UTC))
    return TaskResult(
        task=_as_enqueued(task, alias, request.queue, request.priority, run_after),
        id=request.id,
        status=TaskResultStatus.RUNNING,
        enqueued_at=enqueued_at and _shown(enqueued_at),
        started_at=now,
        last_attempted_at=now,
        finished_at=None,
        args=list(request.args),
        kwargs=dict(request.kwargs),
        backend=alias if alias in task_backends.settings else task.backend,
        errors=[],
        worker_ids=[*([""] * (request.retries + request.crashes)), request.worker],
    )


# -- the end of one ----------------------------------------------------------------------------------------------


def _on_end(*, sender: Any, claim: Claim | None = None, outcome: Outcome | None = None, **given: Any) -> None:
    """Send `task_finished` for a job of ours that has ended: its end is stored, and no retry follows."""
    declared = _declared[sender]
    if claim is not None and outcome is not None:
        stored: StoredResult | None = _stored(claim, outcome)
    else:  # somebody has cancelled it while it waited
        stored = AsyncResult[Any](given["job_id"])._stored()
    if stored is not None:
        _finished(declared.task, stored, declared.task.backend)


def _finished(task: Task[..., Any], stored: StoredResult, asked: str) -> TaskResult[..., Any]:
    """Send `task_finished`; of a failure, as Django does and its log expects, where an exception is being handled."""
    result = _result(task, stored, asked)
    alias = result.backend if result.backend in task_backends.settings else task.backend
    sender = type(task_backends[alias])
    try:
        if (error := error_of(stored)) is not None:
            error.add_note(stored.traceback)
            raise error
    except Exception:  # noqa: BLE001  raised right above
        task_finished.send_robust(sender, task_result=result)
    else:
        task_finished.send_robust(sender, task_result=result)
    return result


def _stored(claim: Claim, outcome: Outcome) -> StoredResult:
    """Return what was stored of an end, without asking for it."""
    message, record = claim.message, outcome.record
    error = outcome.error or ErrorInfo(error_class="")
    return StoredResult(
        id=message.id,
        task=message.task,
        queue=message.queue,
        # What ends a job and is no end of its own is the crash that puts it into quarantine.
        status=FINAL.get(outcome.kind, State.QUARANTINED),
        body=message.body,
        priority=message.priority,
        result=outcome.result,
        error_class=error.error_class,
        error_message=error.message,
        traceback=error.traceback,
        attempts=claim.attempts if record is None else attempt_list.append(claim.attempts, record),
        attempt=outcome.attempt,
        enqueued_us=claim.enqueued_us,
        started_us=outcome.started_us,
        finished_us=outcome.finished_us,
        worker=outcome.worker,
    )


def _listen(name: str) -> None:
    """Hear of the ends of the jobs of one task."""
    for signal in (job_succeeded, job_failed, job_cancelled, job_expired, job_quarantined):
        signal.connect(_on_end, sender=name, dispatch_uid="django_jobs.django_tasks")


# -- looking at one ----------------------------------------------------------------------------------------------


def _result(task: Task[..., Any], found: StoredResult | JobView, asked: str) -> TaskResult[..., Any]:
    """Return Django's view of a job; `asked` is the alias for one that was enqueued by other means."""
    body = decode_body(found.body)
    header = body.headers.get(HEADER)
    alias, enqueued_at, run_after = from_plain(header) if header else (asked, None, None)
    records = attempt_list.load(found.attempts)
    state = found.status if isinstance(found, StoredResult) else found.state
    starts = [us for us in (*(record.started_us for record in records), found.started_us) if us is not None]
    result: TaskResult[..., Any] = TaskResult(
        task=_as_enqueued(task, alias, found.queue, found.priority, run_after),
        id=found.id,
        status=TaskResultStatus[DJANGO_NAMES[state]],
        enqueued_at=_shown(enqueued_at) if enqueued_at else _instant(found.enqueued_us),
        started_at=_instant(min(starts, default=None)),
        last_attempted_at=_instant(max(starts, default=None)),
        finished_at=None,
        args=from_plain(list(body.args)),
        kwargs={name: from_plain(value) for name, value in body.kwargs.items()},
        backend=alias,
        errors=[*_errors(records), *([_unrun(state)] if state in _UNRUN else [])],
        worker_ids=[*(record.worker for record in records), *_last_worker(found)],
    )
    if isinstance(found, StoredResult):
        value = decode_value(found.result) if state is State.SUCCEEDED else None
        _change(result, finished_at=_instant(found.finished_us), _return_value=value)
    return result


def _last_worker(found: StoredResult | JobView) -> list[str]:
    """Return who runs the job or has run it to its success; all other attempts are among the records."""
    if isinstance(found, StoredResult):
        return [found.worker] if found.status is State.SUCCEEDED else []
    return [found.claim.session] if found.state is State.RUNNING and found.claim is not None else []


def _errors(records: Sequence[AttemptRecord]) -> list[TaskError]:
    """Return the errors of the attempts, the last 20 and the first, oldest first."""
    return [
        TaskError(exception_class_path=_path(record.error_class), traceback=record.traceback or record.message)
        for record in records
        if record.error_class
    ]


def _unrun(state: State) -> TaskError:
    kind = _UNRUN[state]
    return TaskError(exception_class_path=f"{kind.__module__}.{kind.__qualname__}", traceback="")


def _path(error_class: str) -> str:
    return error_class if "." in error_class else f"builtins.{error_class}"


def _as_enqueued(
    task: Task[..., Any], alias: str, queue: str, priority: int, run_after: datetime | None
) -> Task[..., Any]:
    """Return the task as the call had it. Not validated: settings may have changed since."""
    same = object.__new__(type(task))
    for field in fields(task):
        object.__setattr__(same, field.name, getattr(task, field.name))
    _change(same, backend=alias, queue_name=queue, priority=priority, run_after=run_after)
    return same


def _change(frozen: Any, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(frozen, name, value)


def _instant(microseconds: int | None) -> datetime | None:
    return None if not microseconds else _shown(datetime.fromtimestamp(microseconds / 1_000_000, UTC))


def _shown(instant: datetime) -> datetime:
    """Return an aware instant as the project has its own: naive and local under USE_TZ=False."""
    return instant if connections.policy.use_tz else timezone.make_naive(instant)
