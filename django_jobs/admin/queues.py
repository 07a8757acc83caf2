"""Queues and paused tasks on the Jobs page: pause, resume, and cancel all that waits."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from django_jobs.admin import pausing
from django_jobs.admin.audit import record
from django_jobs.admin.base import ReadOnlyAdmin
from django_jobs.admin.livelist import Wanted
from django_jobs.client.cancelling import Chosen, cancel_chosen, count_chosen
from django_jobs.core.pause import Pauses, Target
from django_jobs.exceptions import BrokerError
from django_jobs.models import Pause

AT_ONCE: Final = 10_000
"""Jobs that one click cancels, and the most that are counted before it."""


class QueuesAdmin(ReadOnlyAdmin):
    """The part of the Jobs page that is about many jobs at a time."""

    def get_urls(self) -> list[URLPattern]:
        return [
            self.action_path("pause/", "pause", self.pause_view),
            self.action_path("resume/", "resume", self.resume_view),
            self.own_path("purge/", "purge", self.purge_view),
        ]

    def queues_context(self, request: HttpRequest, wanted: Wanted, queues: list[str], pauses: Pauses) -> dict[str, Any]:
        """Return what the page shows of queues, and of tasks that are paused or looked at."""
        tasks = {*pauses.tasks, *([wanted.task] if wanted.task else [])}
        targets = [Target("queue", name) for name in sorted({*queues, *pauses.queues})]
        targets += [Target("task", name) for name in sorted(tasks)]
        may_purge = self.may(request, "purge_queue")
        query = wanted.query().rstrip("?")
        return {
            "targets": [self._row(target, wanted, pauses, may_purge=may_purge) for target in targets],
            "is_paused": bool(pauses),
            "may_pause": self.may(request, "pause_queue"),
            "may_purge": may_purge,
            "pause_url": self.url("pause") + query,
            "resume_url": self.url("resume") + query,
        }

    def _row(self, target: Target, wanted: Wanted, pauses: Pauses, *, may_purge: bool) -> dict[str, Any]:
        pause = (pauses.queues if target.kind == "queue" else pauses.tasks).get(target.name)
        only = Wanted(**{target.kind: target.name})
        return {
            "kind": target.kind,
            "name": target.name,
            "paused": "" if pause is None else pausing.since(pause),
            "query": wanted.query(**{target.kind: target.name}),
            "purge_url": self.url("purge") + only.query() if may_purge else "",
        }

    # -- pause and resume --------------------------------------------------------------------------------------

    def pause_view(self, request: HttpRequest) -> HttpResponse:
        """Pause the queue or task that was posted."""
        return self._change(request, pauses=True)

    def resume_view(self, request: HttpRequest) -> HttpResponse:
        """Let the queue or task go on that was posted."""
        return self._change(request, pauses=False)

    def _change(self, request: HttpRequest, *, pauses: bool) -> HttpResponse:
        self.demand(request, "pause_queue")
        page = self.url("changelist") + Wanted.read(request.GET).query()
        target = _target_of(request)
        if target is None:
            return self.back(request, page, _("Nothing says what is meant: nothing was changed."), messages.WARNING)
        text, level = pausing.change(request, target, pauses=pauses)
        return self.back(request, page, text, level)

    # -- purge -------------------------------------------------------------------------------------------------

    def purge_view(self, request: HttpRequest) -> HttpResponse:
        """Say how many jobs wait, and ask; cancel them once that was said yes to."""
        self.demand(request, "purge_queue")
        wanted = Wanted.read(request.GET)
        page = self.url("changelist") + wanted.query()
        chosen = Chosen(queue=wanted.queue or None, task=wanted.task or None)
        if chosen.is_everything:
            return self.back(
                request, page, _("Nothing says which jobs are meant: none was cancelled."), messages.WARNING
            )
        try:
            if request.method == "POST":
                return self._purge(request, page, wanted, chosen)
            count, _running = count_chosen(chosen, at_most=AT_ONCE)
        except BrokerError as error:
            return self.back(request, page, str(error), messages.ERROR)
        return self._ask(request, page, wanted, count)

    def _purge(self, request: HttpRequest, page: str, wanted: Wanted, chosen: Chosen) -> HttpResponse:
        counts = cancel_chosen(chosen, at_most=AT_ONCE)
        rows = [
            Pause(target=f"{kind} {name}") for kind, name in (("queue", wanted.queue), ("task", wanted.task)) if name
        ]
        record(request, rows, f"Purged: {counts.cancelled} jobs cancelled.")
        text = ngettext("%(count)d job was cancelled.", "%(count)d jobs were cancelled.", counts.cancelled)
        told = text % {"count": counts.cancelled}
        if sum(counts) >= AT_ONCE:
            return self.back(request, page, f"{told} {_now('There may be more: do it again.')}", messages.WARNING)
        return self.back(request, page, told, messages.SUCCESS if counts.cancelled else messages.WARNING)

    def _ask(self, request: HttpRequest, page: str, wanted: Wanted, count: int) -> HttpResponse:
        request.current_app = self.admin_site.name  # where {% url %} looks for it
        context = {
            **self.admin_site.each_context(request),
            "title": _("Cancel all that waits"),
            "opts": self.opts,
            "media": self.media,
            "wanted": wanted,
            "count": count,
            "more": count >= AT_ONCE,
            "jobs_url": page,
        }
        return TemplateResponse(request, "admin/django_jobs/job/purge.html", context)


def _target_of(request: HttpRequest) -> Target | None:
    for kind in ("queue", "task"):
        if name := request.POST.get(kind, ""):
            return Target(kind, name)
    return None
