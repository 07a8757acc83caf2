"""Jobs that have not ended, in the admin: through the broker, so that it is the same page for each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from django_jobs.admin import show
from django_jobs.admin.arguments import shown_call
from django_jobs.admin.audit import record
from django_jobs.admin.base import Tool
from django_jobs.admin.filters import queue_names, task_names_seen
from django_jobs.admin.links import url_of
from django_jobs.admin.livelist import PAGE, PARKED, Wanted
from django_jobs.admin.pausing import note_on, read_pauses
from django_jobs.admin.queues import QueuesAdmin
from django_jobs.client.result import AsyncResult
from django_jobs.connections import connections
from django_jobs.core.bounds import bounds_of
from django_jobs.core.message import ID_PATTERN
from django_jobs.core.outcome import JobView
from django_jobs.core.pause import Pauses
from django_jobs.core.states import State
from django_jobs.exceptions import BrokerError
from django_jobs.models import Job, JobResult
from django_jobs.ports.broker import CancelAnswer

LABELS: Final[Mapping[str, Any]] = {
    State.SCHEDULED: _("scheduled"),
    State.QUEUED: _("waiting"),
    State.RUNNING: _("running"),
    State.RETRYING: _("waiting to be retried"),
    PARKED: _("parked"),
}


class LiveJobAdmin(QueuesAdmin):
    """The Jobs page. Its rows are never read here: a broker may keep its jobs elsewhere."""

    fieldsets = (
        (None, {"fields": (("task", "id"), ("state", "queue", "priority", "turns_by"))}),
        (_("Times"), {"fields": (("enqueued", "due"), ("expires", "started"))}),
        (_("Attempts"), {"fields": (("failures", "crashes", "claimed_by"), "shown_attempts")}),
        (_("Call"), {"fields": ("shown_args", "shown_kwargs", "shown_headers")}),
    )

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let those look who may see results: it is the same job before its end."""
        return request.user.has_perm("django_jobs.view_jobresult")

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Return the live job as the broker shows it.

        Raises:
            BrokerError: it cannot be reached.
        """
        if not ID_PATTERN.match(object_id):
            return None
        view = connections.broker.state_of([object_id]).get(object_id)
        return None if view is None else row_of(view, read_pauses())

    # -- what is shown -----------------------------------------------------------------------------------------

    @admin.display(description=_("state"))
    def state(self, row: Job) -> SafeString:
        view = view_of(row)
        notes = format_html_join("", " {}", ((note,) for note in notes_on(view, vars(row)["pauses"])))
        return format_html("{}{}", state_badge(view), notes)

    @admin.display(description=_("takes turns by"))
    def turns_by(self, row: Job) -> SafeString | str:
        bounds = bounds_of(row.body)
        if bounds is None or bounds.fair is None:
            return show.EMPTY
        return show.inline(bounds.fair or _now("the key of all that have none"))

    @admin.display(description=_("enqueued"))
    def enqueued(self, row: Job) -> str:
        return show.moment(row.enqueued_us)

    @admin.display(description=_("not before"))
    def due(self, row: Job) -> str:
        return show.moment(view_of(row).due_us)

    @admin.display(description=_("expires"))
    def expires(self, row: Job) -> str:
        return show.moment(row.expires_us)

    @admin.display(description=_("started"))
    def started(self, row: Job) -> str:
        return show.moment(row.started_us)

    @admin.display(description=_("claimed by"))
    def claimed_by(self, row: Job) -> SafeString | str:
        claim = view_of(row).claim
        return show.inline(str(claim)) if claim else show.EMPTY

    @admin.display(description=_("failed and crashed"))
    def shown_attempts(self, row: Job) -> SafeString | str:
        return show.attempts(row.attempts)

    @admin.display(description=_("arguments"))
    def shown_args(self, row: Job) -> SafeString | str:
        call = shown_call(row.task, row.body)
        return show.block(call.unread) if call.unread else show.plain_json(call.args)

    @admin.display(description=_("arguments by name"))
    def shown_kwargs(self, row: Job) -> SafeString | str:
        return show.plain_json(shown_call(row.task, row.body).kwargs)

    @admin.display(description=_("headers"))
    def shown_headers(self, row: Job) -> SafeString | str:
        return show.plain_json(shown_call(row.task, row.body).headers)

    def tools(self, request: HttpRequest, row: Job) -> list[Tool]:
        if not self.may(request, "cancel_job"):
            return []
        tools = []
        if not row.cancel_requested:
            tools.append(Tool(label=_("Cancel"), url=self.url("cancel", row.pk), posts=True))
        if view_of(row).state is State.RUNNING:
            tools.append(Tool(label=_("Cancel and terminate"), url=self.url("terminate", row.pk), posts=True))
        return tools

    # -- pages -------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        return [
            self.own_path("", "changelist", self.changelist_view),
            *super().get_urls(),
            self.action_path("<path:object_id>/cancel/", "cancel", self.cancel_view),
            self.action_path("<path:object_id>/terminate/", "terminate", self.terminate_view),
            self.own_path("<path:object_id>/change/", "change", self.change_view),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show one page of the live jobs."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if wanted_id := request.GET.get("id", "").strip():
            return HttpResponseRedirect(self.url("change", wanted_id[:64]))
        request.current_app = self.admin_site.name  # where {% url %} looks for it
        wanted = Wanted.read(request.GET)
        queues = _with(queue_names(), wanted.queue)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Jobs"),
            "opts": self.opts,
            "media": self.media,
            "wanted": wanted,
            "tabs": wanted.tabs(),
            "queues": queues,
            "tasks": _with(task_names_seen(), wanted.task),
            "results_url": url_of(self.admin_site, "jobresult_changelist"),
            "counts_query": wanted.query(counts="1"),
            "may_cancel": self.may(request, "cancel_job"),
            **self._page(request, wanted, queues, counts="counts" in request.GET),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/django_jobs/job/change_list.html", context)

    def _page(self, request: HttpRequest, wanted: Wanted, queues: list[str], *, counts: bool) -> dict[str, Any]:
        try:
            views = wanted.page()
            pauses = read_pauses()
            stats = connections.broker.stats() if counts else None
        except BrokerError as error:
            return {"problem": str(error)}
        rows = [
            {
                "view": view,
                "badge": state_badge(view),
                "notes": notes_on(view, pauses),
                "enqueued": show.moment(view.enqueued_us),
                "due": "" if view.due_us is None else show.moment(view.due_us),
                "url": self.url("change", view.id),
                "cancel_url": "" if view.cancel_requested else self.url("cancel", view.id),
            }
            for view in views[:PAGE]
        ]
        more = wanted.query(after=views[PAGE - 1].place) if len(views) > PAGE else ""
        return {
            "rows": rows,
            "next_query": more,
            "first_query": wanted.query() if wanted.after else "",
            "stats": stats,
            **self.queues_context(request, wanted, [*queues, *(view.queue for view in views)], pauses),
        }

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a live job; the page of its result where it has ended."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        job_id = unquote(object_id)
        try:
            if self.get_object(request, job_id) is None:
                return self._not_live(request, job_id)
            return super().change_view(request, object_id, form_url, extra_context)
        except BrokerError as error:
            return self.back(request, self.url("changelist"), str(error), messages.ERROR)

    def _not_live(self, request: HttpRequest, job_id: str) -> HttpResponse:
        rows = JobResult.objects.using(connections.policy.database)
        result = url_of(self.admin_site, "jobresult_change", job_id)
        if result and ID_PATTERN.match(job_id) and rows.filter(pk=job_id).exists():
            return HttpResponseRedirect(result)
        text = _now("There is neither a live job nor a result with this id. It may have succeeded without being kept.")
        return self.back(request, self.url("changelist"), text, messages.WARNING)

    # -- cancel ------------------------------------------------------------------------------------------------

    def cancel_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Cancel one job, if it still is live and nobody has asked for that before."""
        return self._cancel(request, object_id, terminate=False)

    def terminate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Cancel one job, if it still is live, and have it ended where it runs; may be asked for again."""
        return self._cancel(request, object_id, terminate=True)

    def _cancel(self, request: HttpRequest, object_id: str, *, terminate: bool) -> HttpResponse:
        self.demand(request, "cancel_job")
        page = self.url("changelist") + Wanted.read(request.POST).query()
        try:
            row = self.get_object(request, unquote(object_id))
            if row is None:
                text = _now("There is no such job, or it has ended: nothing was cancelled.")
                return self.back(request, page, text, messages.WARNING)
            if row.cancel_requested and not terminate:
                return self.back(request, page, _("Its cancel was asked for before."), messages.WARNING)
            answer = AsyncResult[Any](row.pk).cancel(terminate=terminate)
        except BrokerError as error:
            return self.back(request, page, str(error), messages.ERROR)
        level, told = ANSWERS[answer]
        if terminate and answer is CancelAnswer.REQUESTED:
            told = _("The job runs: its worker ends it within seconds.")
        if level == messages.SUCCESS:
            verb = "Cancel and terminate" if terminate else "Cancel"
            record(request, [JobResult(id=row.pk, task=row.task)], f"{verb}: {answer}.")
        return self.back(request, page, told, level)


ANSWERS: Final[Mapping[CancelAnswer, tuple[int, str | Promise]]] = {
    CancelAnswer.CANCELLED: (messages.SUCCESS, _("The job is cancelled: it will not start.")),
    CancelAnswer.REQUESTED: (
        messages.SUCCESS,
        _("The job runs: its cancel is asked for. It ends as cancelled, unless this run finishes it."),
    ),
    CancelAnswer.TOO_LATE: (messages.WARNING, _("It was too late: the job has ended.")),
    CancelAnswer.UNKNOWN: (messages.WARNING, _("There is no such job (any more).")),
}


def row_of(view: JobView, pauses: Pauses) -> Job:
    """Return a row that stands for what the broker told, wherever that keeps its jobs; it is never saved."""
    row = Job(
        id=view.id,
        task=view.task,
        queue=view.queue,
        priority=view.priority,
        body=view.body,
        enqueued_us=view.enqueued_us,
        expires_us=view.expires_us,
        started_us=view.started_us,
        failures=view.failures,
        crashes=view.crashes,
        cancel_requested=view.cancel_requested,
        attempts=view.attempts,
    )
    vars(row).update(view=view, pauses=pauses)
    return row


def view_of(row: Job) -> JobView:
    """Return what the broker told of a row that `row_of` made."""
    view: JobView = vars(row)["view"]
    return view


def state_badge(view: JobView) -> SafeString:
    """Return a live job's state."""
    state = PARKED if view.parked else str(view.state)
    return show.badge(state, LABELS[PARKED if view.parked else view.state])


def notes_on(view: JobView, pauses: Pauses) -> list[str]:
    """Return what else people want to know of a live job at once."""
    found = [note] if (note := note_on(view, pauses)) else []
    if view.parked:
        found.append(_now("its limit has no room") if view.parked == "limit" else _now("no worker knows its task"))
    if view.cancel_requested:
        found.append(_now("its cancel is asked for"))
    if view.suspect:
        found.append(_now("runs alone: it may have killed its process"))
    if runs := view.failures + view.crashes:
        found.append(
            ngettext("%(count)d run before went wrong", "%(count)d runs before went wrong", runs) % {"count": runs}
        )
    return found


def _with(names: list[str], chosen: str) -> list[str]:
    return names if not chosen or chosen in names else [*names, chosen]
