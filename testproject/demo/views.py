"""The two pages of the demo: its audits, and the report of one."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from testproject.demo import places
from testproject.demo.models import AuditRun

MAX_SHOWN = 50


def index(request: HttpRequest) -> HttpResponse:
    """Show the newest audits, how far they are, and where their reports are."""
    return render(request, "demo/index.html", {"runs": AuditRun.objects.order_by("-started_at")[:MAX_SHOWN]})


def report(request: HttpRequest, run_id: str) -> HttpResponse:
    """Show the report of an audit, as it was written by its job."""
    run = get_object_or_404(AuditRun, pk=run_id)
    page, _ = places.report_files(run.pk)
    try:
        return HttpResponse(page.read_bytes())
    except FileNotFoundError as error:
        raise Http404(f"Audit {run.pk} has no report (yet); it is {run.state}.") from error
