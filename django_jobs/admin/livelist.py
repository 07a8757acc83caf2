"""Which live jobs the Jobs page shows: what its URL says, read with care, and the URLs of the other pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.core import signing
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from django_jobs.connections import connections
from django_jobs.core.message import QUEUE_PATTERN, TASK_NAME_MAX_LENGTH
from django_jobs.core.outcome import JobView
from django_jobs.core.states import State

PAGE: Final = 50
PARKED: Final = "parked"
STATES: Final[Mapping[str, Any]] = {
    State.SCHEDULED: _("Scheduled"),
    State.QUEUED: _("Waiting"),
    State.RUNNING: _("Running"),
    State.RETRYING: _("Waiting to be retried"),
    PARKED: _("Parked"),
}
"""The tabs; parked jobs are waiting ones that are put aside, for want of a worker that knows them or by a limit."""
_PLACE: Final = signing.Signer(salt="django_jobs.admin.place")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which live jobs a page shows, as its URL says; what cannot be is as if it were not there."""

    state: str = ""
    queue: str = ""
    task: str = ""
    after: str = ""

    @classmethod
    def read(cls, query: QueryDict) -> Wanted:
        state, queue, task = (query.get(name, "") for name in ("state", "queue", "task"))
        return cls(
            state=state if state in STATES else "",
            queue=queue if QUEUE_PATTERN.match(queue) else "",
            task=task if task.isprintable() and len(task) <= TASK_NAME_MAX_LENGTH else "",
            after=_place(query.get("after", "")),
        )

    def page(self) -> list[JobView]:
        """Return a page, and one job more where there are others after it."""
        is_parked = None if self.state not in {State.QUEUED, PARKED} else self.state == PARKED
        return connections.broker.list(
            state=State(State.QUEUED if self.state == PARKED else self.state) if self.state else None,
            queue=self.queue or None,
            task=self.task or None,
            parked=is_parked,
            after=self.after,
            limit=PAGE + 1,
        )

    def query(self, **changed: str) -> str:
        """Return the query of the page that differs in `changed`; it begins anew unless that says `after`."""
        values = {"state": self.state, "queue": self.queue, "task": self.task, "after": "", **changed}
        if values["after"]:
            values["after"] = _PLACE.sign(values["after"])
        return "?" + urlencode({name: value for name, value in values.items() if value})

    def tabs(self) -> list[tuple[Any, str, bool]]:
        """Return (label, query, is it shown) of each tab."""
        every = (_("All"), self.query(state=""), not self.state)
        return [every, *((label, self.query(state=str(state)), self.state == state) for state, label in STATES.items())]


def _place(signed: str) -> str:
    """Return the place that we signed; what somebody made up is the beginning."""
    try:
        return _PLACE.unsign(signed)
    except signing.BadSignature:
        return ""
