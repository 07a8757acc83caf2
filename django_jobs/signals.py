"""Signals of django_jobs. All are sent robustly: a receiver that raises is logged and changes nothing.

The sender is the task's name for `job_*` signals, the worker's name for `worker_*` and the schedule's for `beat_*`:
`connect(receiver, sender="shop.jobs.send")` hears of that task only. Each is sent at most once per event, after it has
been stored, in the process where it happened; a job whose process was killed is signalled by its worker's keeper.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.dispatch import Signal


class NamedSignal(Signal):
    """A signal whose senders are names.

    Django tells senders apart by identity, and a name that was read from a store is never the string that a receiver
    gave to `connect`: each name that was ever connected is kept, and its equals stand for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._names: dict[str, str] = {}

    def connect(
        self, receiver: Callable[..., Any], sender: Any = None, weak: bool = True, dispatch_uid: Any = None
    ) -> None:
        if isinstance(sender, str):
            sender = self._names.setdefault(sender, sender)
        super().connect(receiver, sender, weak, dispatch_uid)

    def disconnect(self, receiver: Any = None, sender: Any = None, dispatch_uid: Any = None) -> bool:
        return super().disconnect(receiver, self._kept(sender), dispatch_uid)

    def has_listeners(self, sender: Any = None) -> bool:
        return super().has_listeners(self._kept(sender))

    def send_robust(self, sender: Any, **named: Any) -> list[tuple[Any, Any]]:
        return super().send_robust(self._kept(sender), **named)

    async def asend_robust(self, sender: Any, **named: Any) -> list[tuple[Any, Any]]:
        return await super().asend_robust(self._kept(sender), **named)

    def _kept(self, sender: Any) -> Any:
        return self._names.get(sender, sender) if isinstance(sender, str) else sender


job_enqueued = NamedSignal()
"""After a job has been handed to the broker (inside the caller's transaction where it joins one). `message`."""

job_started = NamedSignal()
"""Before the function is called, in the child. `claim`."""

job_succeeded = NamedSignal()
"""After a success has been stored. `claim`, `outcome`."""

job_failed = NamedSignal()
"""After a final failure has been stored. `claim`, `outcome`."""

job_retried = NamedSignal()
"""After a failure that will run again has been stored. `claim`, `outcome`."""

job_snoozed = NamedSignal()
"""After it has been stored that a job runs again later because it asked to. `claim`, `outcome`."""

job_released = NamedSignal()
"""After a job that had started was given back uncharged, since its worker made it give way. `claim`, `outcome`."""

job_crashed = NamedSignal()
"""In the keeper, after a job whose process died has been given back. `claim`, `outcome`."""

job_quarantined = NamedSignal()
"""In the keeper, after a job that kept killing its process has been put into quarantine. `claim`, `outcome`."""

job_requeued = NamedSignal()
"""After an ended job has been started again by an explicit retry, in the caller. `job_id`."""

job_cancelled = NamedSignal()
"""After a waiting job has been cancelled (`job_id`, in the caller), or a flagged one has ended (`claim`, `outcome`)."""

job_expired = NamedSignal()
"""After a job that had not started when it expired has been dropped. `claim`, `outcome`."""

worker_started = NamedSignal()
"""In the supervisor, before it forks. `session`."""

worker_stopped = NamedSignal()
"""In the supervisor, after its last child has ended. `session`, `exit_code`."""

beat_ticked = Signal()
"""In the beat, after the job of a tick has been stored. `job_id`, `tick_at` (aware UTC), `late_seconds`."""
