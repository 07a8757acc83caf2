"""URLs of the demo."""

from __future__ import annotations

from django.urls import path

from testproject.demo import views

app_name = "demo"
urlpatterns = [
    path("", views.index, name="index"),
    path("<str:run_id>/", views.report, name="report"),
]
