"""URLs of the test project: the demo's pages and the admin."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("admin/", admin.site.urls),
    path("demo/", include("testproject.demo.urls")),
    path("", RedirectView.as_view(pattern_name="demo:index")),
]
