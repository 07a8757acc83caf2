"""The admin and nothing else."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpResponse
from django.urls import path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("favicon.ico", lambda request: HttpResponse(status=204)),  # browsers ask for it by themselves
]
