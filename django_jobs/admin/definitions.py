"""The tasks of the project in the admin: what each is, what its jobs came to, and running one now."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.helpers import AdminForm
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from django_jobs.admin import once, pausing, show
from django_jobs.admin.audit import record, was_recorded
from django_jobs.admin.base import ReadOnlyAdmin, Tool
from django_jobs.admin.callform import CallForm, asked_of
from django_jobs.admin.filters import QueueFilter
from django_jobs.admin.links import link, url_of
from django_jobs.admin.tasks import is_runnable, task_of
from django_jobs.client.task import Task
from django_jobs.connections import connections
from django_jobs.core.pause import Pause, Target
from django_jobs.exceptions import BrokerError, EnqueueError
from django_jobs.models import JobResult, TaskDefinition

RECENT: Final = 10
RECENT_OF: Final = 5_000
"""Only the newest so many results are looked at: there is no index by task."""


class TaskDefinitionAdmin(ReadOnlyAdmin):
    """What the code declares, and what it declared once."""

    list_display = ("name", "state", "queue", "priority", "last_seen")
    list_filter = ("missing", "is_async", QueueFilter)
    search_fields = ("name", "doc")
    search_help_text = _("Part of a task's name or description.")
    fieldsets = (
        (None, {"fields": ("shown_name", "shown_doc", "shown_signature", ("kind", "module"), "shown_pause")}),
        (_("Options"), {"fields": (("queue", "priority", "runnable"), "shown_options")}),
        (_("Seen"), {"fields": (("state", "first_seen", "last_seen"),)}),
    )

    @admin.display(description=_("name"))
    def shown_name(self, row: TaskDefinition) -> SafeString | str:
        return show.inline(row.name)

    @admin.display(description=_("description"))
    def shown_doc(self, row: TaskDefinition) -> SafeString | str:
        return show.block(row.doc)

    @admin.display(description=_("signature"))
    def shown_signature(self, row: TaskDefinition) -> SafeString | str:
        return show.block(row.signature)

    @admin.display(description=_("given to @job"))
    def shown_options(self, row: TaskDefinition) -> SafeString | str:
        return show.pretty_json(row.options)

    @admin.display(description=_("kind"))
    def kind(self, row: TaskDefinition) -> str:
        return _now("coroutine function") if row.is_async else _now("function")

    @admin.display(description=_("state"))
    def state(self, row: TaskDefinition) -> SafeString:
        if row.missing:
            return show.badge("missing", _("no longer declared"))
        return show.badge("succeeded", _("declared"))

    @admin.display(description=_("paused"))
    def shown_pause(self, row: TaskDefinition) -> SafeString | str:
        pause = _pause_of(row)
        if pause is None:
            return _now("no")
        return format_html("{} <bdi>{}</bdi>", show.badge("paused", _("paused")), pausing.since(pause))

    @admin.display(description=_("first seen"), ordering="first_seen_at")
    def first_seen(self, row: TaskDefinition) -> str:
        return show.stamp(row.first_seen_at)

    @admin.display(description=_("last seen"), ordering="last_seen_at")
    def last_seen(self, row: TaskDefinition) -> str:
        return show.stamp(row.last_seen_at)

    @admin.display(description=_("runs from the admin"), boolean=True)
    def runnable(self, row: TaskDefinition) -> bool:
        return is_runnable(task_of(row.name))

    # -- the page of one task ----------------------------------------------------------------------------------

    def tools(self, request: HttpRequest, row: TaskDefinition) -> list[Tool]:
        found = []
        if self.may(request, "run_task") and is_runnable(task_of(row.name)):
            found.append(Tool(label=_("Run now"), url=self.url("run", row.pk), main=True))
        if self.may(request, "pause_queue"):
            name, label = ("resume", _("Resume")) if _pause_of(row) else ("pause", _("Pause"))
            found.append(Tool(label=label, url=self.url(name, row.pk), posts=True))
        results = url_of(self.admin_site, "jobresult_changelist")
        if results and request.user.has_perm("django_jobs.view_jobresult"):
            found.append(Tool(label=_("All results"), url=f"{results}?{urlencode({'task': row.name})}"))
        return found

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        row = kwargs.get("obj")
        if row is not None and request.user.has_perm("django_jobs.view_jobresult"):
            context["jobs_recent"] = [self._recent(result) for result in recent_results(row.name)]
            context["jobs_recent_of"] = RECENT_OF
        return super().render_change_form(request, context, *args, **kwargs)

    def _recent(self, result: JobResult) -> dict[str, Any]:
        return {
            "job": link(url_of(self.admin_site, "jobresult_change", result.pk), result.pk),
            "badge": show.badge(result.status, result.get_status_display()),
            "finished": show.stamp(result.finished_at),
            "error": result.error_class,
        }

    # -- pause -------------------------------------------------------------------------------------------------

    def pause_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Pause the task."""
        return self._change_pause(request, object_id, pauses=True)

    def resume_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Let the task go on."""
        return self._change_pause(request, object_id, pauses=False)

    def _change_pause(self, request: HttpRequest, object_id: str, *, pauses: bool) -> HttpResponse:
        self.demand(request, "pause_queue")
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return self.gone(request, object_id)
        text, level = pausing.change(request, Target("task", row.name), pauses=pauses)
        return self.back(request, self.url("change", row.pk), text, level)

    # -- run now -----------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        return [
            self.own_path("<path:object_id>/run/", "run", self.run_view),
            self.action_path("<path:object_id>/pause/", "pause", self.pause_view),
            self.action_path("<path:object_id>/resume/", "resume", self.resume_view),
            *super().get_urls(),
        ]

    def run_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for the arguments; enqueue a job with them."""
        self.demand(request, "run_task")
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return self.gone(request, object_id)
        task = task_of(row.name)
        if task is None or not is_runnable(task):
            raise PermissionDenied(_now("This task cannot be run from the admin: see admin_runnable of @job."))
        asked = asked_of(task.spec.function, task.spec.signature)
        if request.method != "POST":
            return self._ask(request, row, CallForm(asked))
        form = CallForm(asked, request.POST)
        if not form.is_valid():
            return self._ask(request, row, form)
        job_id = once.job_id_of(request, f"task {row.pk}")
        if job_id is None:
            form.add_error(None, _now("This form is more than 20 hours old. Look at it again, and send it again."))
            return self._ask(request, row, form)
        return self._enqueue(request, row, task, form, job_id)

    def _enqueue(
        self, request: HttpRequest, row: TaskDefinition, task: Task[..., Any], form: CallForm, job_id: str
    ) -> HttpResponse:
        done = f"Ran now, as job {job_id}."
        job = link(url_of(self.admin_site, "job_change", job_id), job_id)
        if was_recorded(request, row, done):
            text = format_html(_now("This form was sent before: it is the job {}. Nothing was enqueued again."), job)
            return self.back(request, self.url("change", row.pk), text, messages.WARNING)
        args, kwargs = form.call()
        try:
            task.apply_async(args, kwargs, task_id=job_id)
        except (EnqueueError, BrokerError) as error:
            form.add_error(None, str(error))
            return self._ask(request, row, form)
        record(request, [row], done)
        text = format_html(_now("Enqueued the job {} of {}."), job, row.name)
        return self.back(request, self.url("change", row.pk), text)

    def _ask(self, request: HttpRequest, row: TaskDefinition, form: CallForm) -> HttpResponse:
        request.current_app = self.admin_site.name  # where {% url %} looks for it
        context = {
            **self.admin_site.each_context(request),
            "title": _("Run now"),
            "subtitle": row.name,
            "opts": self.opts,
            "original": row,
            "doc": show.block(row.doc) if row.doc else "",
            "adminform": AdminForm(form, [(None, {"fields": list(form.fields)})], {}),  # type: ignore[arg-type]  # any form
            "form": form,
            "media": self.media + form.media,
            "once": once.make_token(request, f"task {row.pk}"),
            "has_view_permission": True,
        }
        return TemplateResponse(request, "admin/django_jobs/taskdefinition/run.html", context)


def _pause_of(row: TaskDefinition) -> Pause | None:
    """Return the pause of a task, asked for once for each page; None also where the broker does not answer."""
    if "pause" not in vars(row):
        try:
            vars(row)["pause"] = pausing.read_pauses().tasks.get(row.name)
        except BrokerError:
            vars(row)["pause"] = None
    pause: Pause | None = vars(row)["pause"]
    return pause


def recent_results(task: str) -> list[JobResult]:
    """Return the newest results of a task among the newest RECENT_OF of all."""
    rows = JobResult.objects.using(connections.policy.database).order_by("-pk")
    oldest = rows.values_list("pk", flat=True)[RECENT_OF : RECENT_OF + 1].first()
    among = rows if oldest is None else rows.filter(pk__gt=oldest)
    return list(among.filter(task=task).defer("body", "result", "traceback", "attempts", "error_message")[:RECENT])
