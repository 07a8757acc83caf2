"""Living workers in the admin, and the orders that can be given to them: through the broker, as for any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from django_jobs.admin import show
from django_jobs.admin.audit import record
from django_jobs.admin.base import ReadOnlyAdmin
from django_jobs.client.control import WorkerHandle, tell_workers, workers
from django_jobs.core.control import Verb
from django_jobs.core.session import SessionState
from django_jobs.exceptions import BrokerError
from django_jobs.models import Session

LABELS: Final[Mapping[SessionState, Any]] = {
    SessionState.ALIVE: _("alive"),
    SessionState.QUIET: _("quiet"),
    SessionState.STOPPING: _("stopping"),
    SessionState.DEAD: _("dead"),
}
BUTTONS: Final[Mapping[Verb, Any]] = {Verb.QUIET: _("Quiet"), Verb.RESUME: _("Resume"), Verb.STOP: _("Stop")}
FITTING: Final[Mapping[SessionState, tuple[Verb, ...]]] = {
    SessionState.ALIVE: (Verb.QUIET, Verb.STOP),
    SessionState.QUIET: (Verb.RESUME, Verb.STOP),
}
PERMISSION: Final = "control_worker"


class WorkerAdmin(ReadOnlyAdmin):
    """The Workers page. Its rows are never read here: a broker may keep its sessions elsewhere."""

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let those look who may see results, as on the Jobs page."""
        return request.user.has_perm("django_jobs.view_jobresult")

    def get_urls(self) -> list[URLPattern]:
        orders = [
            self.action_path(f"<path:object_id>/{verb.value}/", verb.value, self._order_view(verb)) for verb in BUTTONS
        ]
        return [self.own_path("", "changelist", self.changelist_view), *orders]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the workers that the broker knows."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        request.current_app = self.admin_site.name  # where {% url %} looks for it
        context = {
            **self.admin_site.each_context(request),
            "title": _("Workers"),
            "opts": self.opts,
            "media": self.media,
            "may_control": self.may(request, PERMISSION),
            **self._rows(),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/django_jobs/session/change_list.html", context)

    def _rows(self) -> dict[str, Any]:
        try:
            found = workers()
        except BrokerError as error:
            return {"problem": str(error)}
        return {"rows": [self._row(handle) for handle in found]}

    def _row(self, handle: WorkerHandle) -> dict[str, Any]:
        details = handle.details
        return {
            "handle": handle,
            "badge": show.badge(handle.state.value, LABELS[handle.state]),
            "slots": details.get("slots", ""),
            "autoscale": details.get("autoscale"),
            "running": handle.running,
            "queues": ", ".join(details.get("queues") or ()),
            "renewed": show.moment(handle.renewed_us),
            "buttons": [
                (BUTTONS[verb], self.url(verb.value, handle.session)) for verb in FITTING.get(handle.state, ())
            ],
        }

    # -- orders ------------------------------------------------------------------------------------------------

    def _order_view(self, verb: Verb) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            self.demand(request, PERMISSION)
            return self._order(request, unquote(object_id), verb)

        return view

    def _order(self, request: HttpRequest, session: str, verb: Verb) -> HttpResponse:
        """Give the order and come back at once: the worker looks within about a second."""
        page = self.url("changelist")
        try:
            chosen = [handle for handle in workers() if handle.session == session and handle.is_alive]
            if not chosen:
                return self.back(request, page, _("This worker does not live any more."), messages.WARNING)
            tell_workers(chosen, verb, timeout=0.0)
        except BrokerError as error:
            return self.back(request, page, str(error), messages.ERROR)
        record(request, [Session(id=session, worker=chosen[0].name)], f"Order: {verb.value}.")
        text = _now("%(worker)s has the order “%(order)s”. It looks for orders once a second.")
        return self.back(request, page, text % {"worker": chosen[0].name, "order": verb.value})
