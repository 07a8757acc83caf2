"""The demo as a Django app."""

from __future__ import annotations

from django.apps import AppConfig


class DemoConfig(AppConfig):
    """Tables, jobs, pages and the command of the demo."""

    name = "testproject.demo"
    label = "demo"
    verbose_name = "Audit of the Python environment"
    default_auto_field = "django.db.models.BigAutoField"
