"""What becomes ready later: delayed jobs and retries, by their time."""

from __future__ import annotations

from django.db import models


class Due(models.Model):
    """A job that may not run before `at_us`; moved to Ready inside a claim, with everything that Ready needs.

    A row whose `rank_no` is -1 is no job, but the timer of a limit, and only says when its `line` is to be looked at.
    """

    pk = models.CompositePrimaryKey("at_us", "job_id")
    at_us = models.BigIntegerField()
    job_id = models.CharField(max_length=64)
    line = models.CharField(max_length=260)
    rank_no = models.SmallIntegerField()
    attempt = models.IntegerField()
    body_bytes = models.IntegerField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.job_id} at {self.at_us}"
