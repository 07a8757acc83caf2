"""Who was let through a limit: members (key, job id), from then to the end of the claim."""

from __future__ import annotations

from django.db import models


class Slot(models.Model):
    """A job that is in line or claimed, and counts for its limit; free where the job is not live."""

    pk = models.CompositePrimaryKey("name", "job_id")
    name = models.CharField(max_length=255)
    job_id = models.CharField(max_length=64)
    let_in_us = models.BigIntegerField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.name}: {self.job_id}"
