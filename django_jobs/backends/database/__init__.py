"""The project's database as broker, result store and lock: PostgreSQL, MariaDB/MySQL and SQLite."""

from __future__ import annotations

from django_jobs.backends.database.broker import DatabaseBroker
from django_jobs.backends.database.lock import DatabaseLock
from django_jobs.backends.database.outbox import DatabaseOutbox
from django_jobs.backends.database.results import DatabaseResultStore

__all__ = ["DatabaseBroker", "DatabaseLock", "DatabaseOutbox", "DatabaseResultStore"]
