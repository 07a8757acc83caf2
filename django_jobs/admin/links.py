"""URLs from one page of django_jobs to another, on whichever admin site both are."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString


def url_of(site: AdminSite, name: str, *args: Any) -> str:
    """Return the URL of a page such as `jobresult_change`; an empty text where the site does not have it."""
    try:
        return reverse(f"admin:django_jobs_{name}", args=[quote(arg) for arg in args], current_app=site.name)
    except NoReverseMatch:
        return ""


def link(url: str, text: str) -> SafeString:
    """Return a link, or the text alone where there is no page."""
    return format_html('<a href="{}"><bdi>{}</bdi></a>', url, text) if url else format_html("<bdi>{}</bdi>", text)
