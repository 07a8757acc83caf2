"""Who holds a unique key. The rows of jobs need no unique index of their own, which MySQL could not have."""

from __future__ import annotations

from django.db import models


class UniqueKey(models.Model):
    """The member (key, job id). It is free where its job is not live, or its time is over."""

    name = models.CharField(primary_key=True, max_length=255)
    job_id = models.CharField(max_length=64)
    until_us = models.BigIntegerField(null=True)
    """Held for a time, whether the job lives or not; null: for as long as the job lives."""
    until_start = models.BooleanField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["until_us"], name="django_jobs_unique_until")]

    def __str__(self) -> str:
        return self.name
