"""Schedules in the admin: made and edited by people, paused, resumed, and run now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from django_jobs.admin import once, show
from django_jobs.admin.audit import record, was_recorded
from django_jobs.admin.base import JobsAdmin, Tool
from django_jobs.admin.links import link, url_of
from django_jobs.admin.nextruns import NextRuns, next_runs
from django_jobs.admin.scheduleform import RULE_FIELDS, ScheduleForm, time_zones
from django_jobs.client.task import task_named
from django_jobs.client.tick import told, why_not
from django_jobs.connections import connections
from django_jobs.exceptions import BrokerError, EnqueueError, InvalidSchedule, TaskNotRegistered
from django_jobs.models import PeriodicSchedule

IN_ADMIN = "admin"
"""The source of schedules that people made; the others follow code and settings, and are only paused here."""


class PeriodicScheduleAdmin(JobsAdmin):
    """When which task is enqueued."""

    form = ScheduleForm
    list_display = ("name", "shown_state", "rule", "next_run", "last_run", "task", "source")
    list_filter = ("paused", "missing", "source")
    search_fields = ("name", "task")
    search_help_text = _("Part of a schedule's or a task's name.")
    actions = ("pause_selected", "resume_selected")
    readonly_fields = ("rule", "zone", "shown_state", "next_run", "last_run", "shown_problem", "source", "last_job_id")
    fieldsets = (
        (None, {"fields": ("name", "task", "args", "kwargs")}),
        (_("When"), {"fields": (("crontab", "day_rule"), "interval_seconds", "time_zone"), "classes": ["jobs-rule"]}),
        (
            _("Options of its jobs"),
            {
                "fields": (("queue", "priority", "expires_seconds"),),
                "description": _("What is empty is as the task has it."),
            },
        ),
    )
    shown_rule = (_("When"), {"fields": (("rule", "zone"),), "classes": ["jobs-rule"]})
    standing = (("shown_state", "source"), ("next_run", "last_run"), "last_job_id")

    class Media:
        js = ["django_jobs/schedule.js"]

    def get_fieldsets(self, request: HttpRequest, obj: PeriodicSchedule | None = None) -> Any:
        if obj is None:
            return self.fieldsets
        call, rule, options = self.fieldsets
        standing = (*self.standing, "shown_problem") if obj.problem else self.standing
        when = rule if self.has_change_permission(request, obj) else self.shown_rule
        return (call, when, options, (_("Now"), {"fields": standing}))

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_change_permission(request, obj) and getattr(obj, "source", IN_ADMIN) == IN_ADMIN

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Allow also what code and settings declare no more: nothing else would ever take it away."""
        is_own = getattr(obj, "source", IN_ADMIN) == IN_ADMIN or getattr(obj, "missing", False)
        return super().has_delete_permission(request, obj) and is_own

    def save_model(self, request: HttpRequest, obj: PeriodicSchedule, form: Any, change: bool) -> None:
        """Write what the form says and nothing else: a beat may have moved the row on since it was read."""
        if not change:
            obj.save(using=connections.policy.database)
            return
        columns = set(form.cleaned_data)
        if obj.problem or set(RULE_FIELDS) & set(form.changed_data):
            obj.next_run_us, obj.problem = None, ""
            columns |= {"next_run_us", "problem"}
        obj.save(using=connections.policy.database, update_fields=columns)

    # -- what is shown -----------------------------------------------------------------------------------------

    @admin.display(description=_("when"))
    def rule(self, row: PeriodicSchedule) -> str:
        try:
            return str(row.schedule())
        except InvalidSchedule:
            return row.crontab or show.EMPTY

    @admin.display(description=_("time zone"))
    def zone(self, row: PeriodicSchedule) -> str:
        return row.time_zone or connections.policy.time_zone

    @admin.display(description=_("state"))
    def shown_state(self, row: PeriodicSchedule) -> SafeString:
        if row.missing:
            return show.badge("missing", _("no longer declared"))
        if row.paused:
            return show.badge("paused", _("paused"))
        return show.badge("failed", _("broken")) if row.problem else show.badge("succeeded", _("active"))

    @admin.display(description=_("next run"))
    def next_run(self, row: PeriodicSchedule) -> str:
        return show.moment(row.next_run_us)

    @admin.display(description=_("last run"))
    def last_run(self, row: PeriodicSchedule) -> str:
        return show.moment(row.last_run_us)

    @admin.display(description=_("problem"))
    def shown_problem(self, row: PeriodicSchedule) -> SafeString | str:
        return show.inline(row.problem)

    def tools(self, request: HttpRequest, row: PeriodicSchedule) -> list[Tool]:
        found = []
        if self.may(request, "run_task") and not row.missing:
            fields = {once.FIELD: once.make_token(request, f"schedule {row.pk}")}
            found.append(Tool(label=_("Run now"), url=self.url("run", row.pk), posts=True, fields=fields, main=True))
        if self.may(request, "pause_schedule"):
            label, name = (_("Resume"), "resume") if row.paused else (_("Pause"), "pause")
            found.append(Tool(label=label, url=self.url(name, row.pk), posts=True))
        if row.last_job_id and request.user.has_perm("django_jobs.view_jobresult"):
            found.append(Tool(label=_("Last job"), url=url_of(self.admin_site, "jobresult_change", row.last_job_id)))
        return found

    # -- the next runs -----------------------------------------------------------------------------------------

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        form = context["adminform"].form
        row = kwargs.get("obj")
        is_editable = "crontab" in form.fields
        values = {name: form[name].value() if is_editable else getattr(row, name) for name in RULE_FIELDS}
        is_new = row is None and not form.is_bound
        context |= {
            "next_runs": None if is_new else _next_runs(values),
            "preview_url": self.url("preview"),
            "time_zones": time_zones(),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """Answer with the next runs of what is being typed, as a piece of the page."""
        if not (self.has_view_or_change_permission(request) or self.has_add_permission(request)):
            raise PermissionDenied
        values: dict[str, Any] = {name: request.GET.get(name, "") for name in RULE_FIELDS}
        values["interval_seconds"] = [request.GET.get(f"interval_seconds_{number}", "") for number in (0, 1)]
        context = {"next_runs": _next_runs(values)}
        return render(request, "admin/django_jobs/periodicschedule/next_runs.html", context)

    # -- actions -----------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        own = [
            self.own_path("preview/", "preview", self.preview_view),
            self.action_path("<path:object_id>/run/", "run", self.run_view),
            self.action_path("<path:object_id>/pause/", "pause", self.pause_view),
            self.action_path("<path:object_id>/resume/", "resume", self.resume_view),
        ]
        return [*own, *super().get_urls()]

    def has_pause_permission(self, request: HttpRequest) -> bool:
        """Say who gets the list's actions; Django finds this by its name."""
        return self.may(request, "pause_schedule")

    @admin.action(description=_("Pause selected schedules"), permissions=["pause"])
    def pause_selected(self, request: HttpRequest, queryset: QuerySet[PeriodicSchedule]) -> None:
        count = _set_paused(request, queryset, paused=True)
        text = ngettext("%(count)d schedule is paused now.", "%(count)d schedules are paused now.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS if count else messages.WARNING)

    @admin.action(description=_("Resume selected schedules"), permissions=["pause"])
    def resume_selected(self, request: HttpRequest, queryset: QuerySet[PeriodicSchedule]) -> None:
        count = _set_paused(request, queryset, paused=False)
        text = ngettext("%(count)d schedule runs again.", "%(count)d schedules run again.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS if count else messages.WARNING)

    def pause_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Let no tick fire from now on."""
        return self._pause(request, object_id, paused=True, done=_("It is paused."), before=_("It was paused before."))

    def resume_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Let it fire again, from now on."""
        done = _("It runs again; what it missed is not made up for.")
        return self._pause(request, object_id, paused=False, done=done, before=_("It was not paused."))

    def _pause(self, request: HttpRequest, object_id: str, *, paused: bool, done: Any, before: Any) -> HttpResponse:
        self.demand(request, "pause_schedule")
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return self.gone(request, object_id)
        changed = _set_paused(request, self.get_queryset(request).filter(pk=row.pk), paused=paused)
        page = self.url("change", row.pk)
        return self.back(request, page, done) if changed else self.back(request, page, before, messages.WARNING)

    def run_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Enqueue what a tick would, now."""
        self.demand(request, "run_task")
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return self.gone(request, object_id)
        page = self.url("change", row.pk)
        job_id = once.job_id_of(request, f"schedule {row.pk}")
        if job_id is None:
            return self.back(request, page, _("That page was too old. Nothing was enqueued."), messages.WARNING)
        done = f"Ran now, as job {job_id}."
        job = link(url_of(self.admin_site, "job_change", job_id), job_id)
        if was_recorded(request, row, done):
            text = format_html(_now("This form was sent before: it is the job {}. Nothing was enqueued again."), job)
            return self.back(request, page, text, messages.WARNING)
        if why := _enqueue(row, job_id):
            return self.back(request, page, why, messages.ERROR)
        record(request, [row], done)
        return self.back(request, page, format_html(_now("Enqueued the job {} of {}."), job, row.task))


def _next_runs(values: dict[str, Any]) -> NextRuns:
    return next_runs(values, now=datetime.now(UTC), default_zone=connections.policy.time_zone)


def _set_paused(request: HttpRequest, rows: QuerySet[PeriodicSchedule], *, paused: bool) -> int:
    """Pause or resume those of `rows` that are not so yet, note it, and return how many those were."""
    changed = []
    for row in rows.filter(paused=not paused):
        one = PeriodicSchedule.objects.using(connections.policy.database).filter(pk=row.pk)
        if one.pause() if paused else one.resume():
            changed.append(row)
    if changed:
        record(request, changed, "Paused." if paused else "Resumed.")
    return len(changed)


def _enqueue(row: PeriodicSchedule, job_id: str) -> str:
    """Enqueue the job of a tick under this id; return why not, or an empty text."""
    try:
        declaration = row.declaration()
        if why := why_not(declaration):
            return why
        options: dict[str, Any] = {**declaration.options(), "task_id": job_id, "headers": {"schedule": row.name}}
        task_named(row.task).apply_async(declaration.args, declaration.kwargs, **options)
    except (InvalidSchedule, TaskNotRegistered, EnqueueError, BrokerError) as error:
        return told(error)
    return ""
