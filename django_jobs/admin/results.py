"""Ended jobs in the admin: what they came to, why they failed, and running them again."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from django_jobs.admin import retrying, show
from django_jobs.admin.arguments import shown_call
from django_jobs.admin.base import ReadOnlyAdmin, Tool
from django_jobs.admin.filters import DayFilter, QueueFilter, StatusFilter, TaskFilter
from django_jobs.admin.links import url_of
from django_jobs.connections import connections
from django_jobs.core.message import ID_PATTERN
from django_jobs.core.states import RETRIABLE, State
from django_jobs.exceptions import BrokerError
from django_jobs.models import JobResult, TaskDefinition

WITH_ERROR = (State.FAILED, State.QUARANTINED)


class JobResultAdmin(ReadOnlyAdmin):
    """What ended jobs came to."""

    list_display = ("task", "shown_status", "error_name", "finished", "run_time", "queue", "id")
    list_display_links = ("task", "id")
    list_filter = (StatusFilter, DayFilter, TaskFilter, QueueFilter)
    sortable_by = ()  # the newest come first by the primary key; any other order would sort the whole table
    search_fields = ("id",)  # what makes Django show the field; see get_search_results
    search_help_text = _("A job's id, part of a task's name, or part of an error.")
    actions = ("retry_selected",)
    head = (None, {"fields": (("task", "id"), ("shown_status", "queue", "priority", "worker"))})
    result = (_("Result"), {"fields": ("shown_result",)})
    error = (_("Error"), {"fields": ("error_class", "shown_error", "shown_traceback")})
    attempts = (_("Attempts"), {"fields": (("failures", "crashes"), "shown_attempts")})
    call = (_("Call"), {"fields": ("shown_args", "shown_kwargs", "shown_headers")})
    times = (_("Times"), {"fields": (("enqueued", "started"), ("finished", "run_time"))})

    def get_fieldsets(self, request: HttpRequest, obj: JobResult | None = None) -> Any:
        told = [self.error] if obj is not None and obj.status in WITH_ERROR else [self.result]
        return [self.head, *told, self.attempts, self.call, self.times]

    def get_queryset(self, request: HttpRequest) -> QuerySet[JobResult]:
        rows: QuerySet[JobResult] = super().get_queryset(request)
        match = request.resolver_match
        if match is not None and str(match.url_name).endswith("_changelist"):
            return rows.defer("body", "result", "traceback", "attempts", "error_message")
        return rows

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        return super().get_object(request, object_id, from_field) if ID_PATTERN.match(object_id) else None

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Look for an id, else in tasks and errors; errors are looked for among the failed ones only."""
        if not search_term:
            return queryset, False
        if ID_PATTERN.match(search_term) and queryset.filter(pk=search_term).exists():
            return queryset.filter(pk=search_term), False
        in_error = Q(error_class__icontains=search_term) | Q(error_message__icontains=search_term)
        return queryset.filter(Q(task__icontains=search_term) | Q(in_error, status__in=WITH_ERROR)), False

    # -- what is shown -----------------------------------------------------------------------------------------

    @admin.display(description=_("status"))
    def shown_status(self, row: JobResult) -> SafeString:
        return show.badge(row.status, row.get_status_display())

    @admin.display(description=_("error"))
    def error_name(self, row: JobResult) -> SafeString | str:
        return show.inline(row.error_class.rpartition(".")[2])

    @admin.display(description=_("enqueued"))
    def enqueued(self, row: JobResult) -> str:
        return show.stamp(row.enqueued_at)

    @admin.display(description=_("started"))
    def started(self, row: JobResult) -> str:
        return show.stamp(row.started_at)

    @admin.display(description=_("finished"))
    def finished(self, row: JobResult) -> str:
        return show.stamp(row.finished_at)

    @admin.display(description=_("run time"))
    def run_time(self, row: JobResult) -> str:
        return show.duration(None if row.started_at is None else (row.finished_at - row.started_at).total_seconds())

    @admin.display(description=_("arguments"))
    def shown_args(self, row: JobResult) -> SafeString | str:
        call = shown_call(row.task, row.body)
        return show.block(call.unread) if call.unread else show.plain_json(call.args)

    @admin.display(description=_("arguments by name"))
    def shown_kwargs(self, row: JobResult) -> SafeString | str:
        return show.plain_json(shown_call(row.task, row.body).kwargs)

    @admin.display(description=_("headers"))
    def shown_headers(self, row: JobResult) -> SafeString | str:
        return show.plain_json(shown_call(row.task, row.body).headers)

    @admin.display(description=_("result"))
    def shown_result(self, row: JobResult) -> SafeString | str:
        return show.pretty_json(row.result)

    @admin.display(description=_("error message"))
    def shown_error(self, row: JobResult) -> SafeString | str:
        return show.block(row.error_message)

    @admin.display(description=_("traceback"))
    def shown_traceback(self, row: JobResult) -> SafeString | str:
        return show.traceback(row.traceback)

    @admin.display(description=_("failed and crashed"))
    def shown_attempts(self, row: JobResult) -> SafeString | str:
        return show.attempts(row.attempts)

    def tools(self, request: HttpRequest, row: JobResult) -> list[Tool]:
        found = []
        if row.status in RETRIABLE and self.may(request, "retry_job"):
            seen = {retrying.SEEN: retrying.seen_of(row)}
            found.append(Tool(label=_("Retry"), url=self.url("retry", row.pk), posts=True, fields=seen, main=True))
        if request.user.has_perm("django_jobs.view_taskdefinition"):
            tasks = TaskDefinition.objects.using(connections.policy.database).filter(name=row.task)
            if (pk := tasks.values_list("pk", flat=True).first()) is not None:
                found.append(Tool(label=_("Task"), url=url_of(self.admin_site, "taskdefinition_change", pk)))
        if parent_id := shown_call(row.task, row.body).parent_id:
            found.append(Tool(label=_("Enqueued by"), url=self.url("change", parent_id)))
        return found

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a result; the page of the live job where it has not ended, or runs again."""
        live = url_of(self.admin_site, "job_change", unquote(object_id))
        if live and self.get_object(request, unquote(object_id)) is None and self._is_live(unquote(object_id)):
            return HttpResponseRedirect(live)
        return super().change_view(request, object_id, form_url, extra_context)

    def _is_live(self, job_id: str) -> bool:
        try:
            return bool(ID_PATTERN.match(job_id)) and job_id in connections.broker.state_of([job_id])
        except BrokerError:
            return False

    # -- retry -------------------------------------------------------------------------------------------------

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Say who gets the list's action; Django finds this by its name."""
        return self.may(request, "retry_job")

    @admin.action(description=_("Retry selected jobs"), permissions=["retry"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[JobResult]) -> HttpResponse | None:
        """Ask whether these are to be retried; nothing has happened yet."""
        rows = list(queryset.filter(status__in=RETRIABLE)[: retrying.AT_ONCE + 1])
        if not rows:
            self.message_user(request, _("None of these can be retried: they have all succeeded."), messages.WARNING)
            return None
        request.current_app = self.admin_site.name  # where {% url %} looks for it
        context = {
            **self.admin_site.each_context(request),
            "title": _("Retry jobs"),
            "opts": self.opts,
            "rows": [(row, retrying.seen_of(row), show.stamp(row.finished_at)) for row in rows[: retrying.AT_ONCE]],
            "more": len(rows) > retrying.AT_ONCE,
            "at_once": retrying.AT_ONCE,
            "media": self.media,
        }
        return TemplateResponse(request, "admin/django_jobs/jobresult/retry_selected.html", context)

    def get_urls(self) -> list[URLPattern]:
        own = [
            self.action_path("retry/", "retry_selected", self.retry_selected_view),
            self.action_path("<path:object_id>/retry/", "retry", self.retry_view),
        ]
        return [*own, *super().get_urls()]

    def retry_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Start one job again, if it still is what its page showed."""
        self.demand(request, "retry_job")
        job_id = unquote(object_id)
        seen = request.POST.get(retrying.SEEN, "")
        done = retrying.retry(request, [seen if seen.endswith(f" {job_id}") else ""])
        page = self.url("change", job_id)
        if done.retried:
            return self.back(request, page, _("The job is waiting to run again."))
        return self.back(request, page, done.why, messages.WARNING)

    def retry_selected_view(self, request: HttpRequest) -> HttpResponse:
        """Start those of the selected jobs again that still are what the question showed."""
        self.demand(request, "retry_job")
        done = retrying.retry(request, request.POST.getlist(retrying.SEEN))
        if done.why:
            self.message_user(request, done.why, messages.WARNING)
        if not done.retried:
            return HttpResponseRedirect(self.url("changelist"))
        text = ngettext(
            "%(count)d job is waiting to run again.", "%(count)d jobs are waiting to run again.", done.retried
        )
        return self.back(request, self.url("changelist"), text % {"count": done.retried})
