"""How far running jobs are, in their own words; apart from the job's row, which the hot path reads."""

from __future__ import annotations

from django.db import models


class JobProgress(models.Model):
    """What one job has said last; dropped a day after that."""

    job_id = models.CharField(primary_key=True, max_length=64)
    text = models.TextField()
    """JSON of a `core.progress.Progress`."""
    updated_us = models.BigIntegerField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["updated_us"], name="django_jobs_progress_updated")]

    def __str__(self) -> str:
        return self.job_id
