"""What is paused in the database broker: a queue or a task, by whom and why."""

from __future__ import annotations

from django.db import models

from django_jobs.core.pause import BY_MAX_LENGTH, REASON_MAX_LENGTH


class Pause(models.Model):
    """One queue or task. Every claim reads the few rows there are, in the statement that it makes anyway."""

    target = models.CharField(primary_key=True, max_length=262)
    """`queue <name>` or `task <name>`."""
    since_us = models.BigIntegerField()
    paused_by = models.CharField(max_length=BY_MAX_LENGTH)
    reason = models.CharField(max_length=REASON_MAX_LENGTH)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.target
