"""Lets tests that import `django.tasks` find the backport under that name, with Django's names of two errors."""

from __future__ import annotations

import importlib
import logging
import sys

MODULES = ("", ".base", ".checks", ".exceptions", ".signals", ".backends", ".backends.base", ".backends.dummy")


def stand_in() -> None:
    """Register the backport's modules as Django's. Call it before `django.setup()`."""
    for name in (*MODULES, ".backends.immediate"):
        sys.modules[f"django.tasks{name}"] = importlib.import_module(f"django_tasks{name}")
    package = sys.modules["django.tasks"]
    sys.modules["django"].tasks = package  # type: ignore[attr-defined]
    package.Task = sys.modules["django.tasks.base"].Task  # type: ignore[attr-defined]
    errors = sys.modules["django.tasks.exceptions"]
    errors.InvalidTask = errors.InvalidTaskError  # type: ignore[attr-defined]
    errors.InvalidTaskBackend = errors.InvalidTaskBackendError  # type: ignore[attr-defined]
    sys.modules["django.tasks.signals"].logger = logging.getLogger("django.tasks")  # type: ignore[attr-defined]
