"""The audits in the admin: to look at only."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from testproject.demo.models import AuditedDistribution, AuditRun


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic where Django runs
    """Rows that only jobs write."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(AuditRun)
class AuditRunAdmin(ReadOnlyAdmin):
    list_display = ["id", "state", "done", "expected", "prefix", "started_at", "finished_at"]
    list_filter = ["state"]
    search_fields = ["id", "prefix", "host"]


@admin.register(AuditedDistribution)
class AuditedDistributionAdmin(ReadOnlyAdmin):
    list_display = ["name", "version", "run", "files", "missing", "altered", "unreadable", "runs", "finished_at"]
    list_filter = [("run", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["run"]
    search_fields = ["name", "location"]
    show_full_result_count = False
