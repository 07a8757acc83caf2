"""Ids of jobs that have ended and left no result, so that a repeated enqueue is not a second job."""

from __future__ import annotations

from django.db import models


class Mark(models.Model):
    """An id that may not be enqueued before `until_us`. An id with a stored result needs none."""

    id = models.CharField(primary_key=True, max_length=64)
    until_us = models.BigIntegerField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["until_us"], name="django_jobs_mark_until")]

    def __str__(self) -> str:
        return self.id
