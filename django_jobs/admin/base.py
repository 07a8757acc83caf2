"""What all admin pages of django_jobs share: whose rows they show, who may act, and the buttons beside a title."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.views.main import ERROR_FLAG
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from django_jobs.admin.links import url_of
from django_jobs.connections import connections

COUNTED_AT_MOST: Final = 10_000


class CappedPaginator(Paginator):  # type: ignore[type-arg]  # Django's classes take none at run time
    """Counts no further than COUNTED_AT_MOST rows, so that a page of a table with millions costs the same."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows[:COUNTED_AT_MOST].count())


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A button beside the title of an object's page: a link, or a form that posts `fields`."""

    label: str | Promise
    url: str
    posts: bool = False
    fields: Mapping[str, str] = field(default_factory=dict)
    main: bool = False
    """Drawn to be seen first."""


class JobsAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's classes take none at run time
    """Shows rows of the jobs' database; a subclass adds what may be done with them."""

    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # they count whole tables
    list_per_page = 50
    list_max_show_all = 200

    class Media:
        css = {"all": ["django_jobs/admin.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).using(connections.policy.database)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list; without its query where that has a NUL, which Django's own filters take to PostgreSQL."""
        if any("\0" in text for values in request.GET.lists() for text in (values[0], *values[1])):
            return HttpResponseRedirect(f"{request.path}?{ERROR_FLAG}=1")
        return super().changelist_view(request, extra_context)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        if "\0" in object_id:  # PostgreSQL refuses it, and no key has it
            return None
        return super().get_object(request, object_id, from_field)

    def tools(self, request: HttpRequest, row: Any) -> list[Tool]:
        """Return the buttons of the page of `row` for this user."""
        return []

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        row = kwargs.get("obj")
        # A site may have only some of our pages: what leads to another one is left out.
        context["jobs_tools"] = [] if row is None else [tool for tool in self.tools(request, row) if tool.url]
        return super().render_change_form(request, context, *args, **kwargs)

    # -- actions -----------------------------------------------------------------------------------------------

    def may(self, request: HttpRequest, permission: str) -> bool:
        """Say whether the user may see these rows and has one of our own permissions (`run_task`, ...)."""
        return self.has_view_or_change_permission(request) and request.user.has_perm(f"django_jobs.{permission}")

    def demand(self, request: HttpRequest, permission: str) -> None:
        """Refuse who may not.

        Raises:
            PermissionDenied: the answer is 403.
        """
        if not self.may(request, permission):
            raise PermissionDenied

    def action_path(self, route: str, name: str, view: Callable[..., HttpResponse]) -> URLPattern:
        """Return the URL of a view that changes something: POST only, with CSRF, behind the site's login."""
        return self.own_path(route, name, require_POST(view))

    def own_path(self, route: str, name: str, view: Callable[..., HttpResponse]) -> URLPattern:
        """Return the URL of a view of ours, behind the site's login."""
        full_name = f"{self.opts.app_label}_{self.opts.model_name}_{name}"
        return path(route, self.admin_site.admin_view(view), name=full_name)

    def url(self, name: str, *args: Any) -> str:
        """Return the URL of a page of this model, as `change`."""
        return url_of(self.admin_site, f"{self.opts.model_name}_{name}", *args)

    def back(self, request: HttpRequest, url: str, text: Any, level: int = messages.SUCCESS) -> HttpResponse:
        """Say what happened on the next page."""
        self.message_user(request, text, level)
        return HttpResponseRedirect(url)

    def gone(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Answer an action on a row that is not there (any more)."""
        text = _("There is nothing with the key “%(key)s” here (any more).") % {"key": object_id[:100]}
        return self.back(request, self.url("changelist"), text, messages.WARNING)


class ReadOnlyAdmin(JobsAdmin):
    """Shows rows to whoever may view them; nobody adds, changes or deletes any here."""

    actions: Any = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
