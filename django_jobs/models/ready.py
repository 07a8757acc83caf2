"""What can be claimed now, and nothing else: narrow rows in the order in which they are claimed."""

from __future__ import annotations

from django.db import models


class Ready(models.Model):
    """A job's place in a line. Inserted and deleted, never updated.

    `line` is the queue's name; `!queue` holds its suspects, which are claimed alone; `?task` what is parked because
    no worker knows the task; `~key` what waits for its limit; `}t task` and `}q queue` what was put aside, since its
    task or queue is paused. `rank_no` is 100 - priority. No foreign key: the job's row is in the same transaction.
    """

    pk = models.CompositePrimaryKey("line", "rank_no", "at_us", "job_id")
    line = models.CharField(max_length=260)
    rank_no = models.SmallIntegerField()
    at_us = models.BigIntegerField()
    job_id = models.CharField(max_length=64)
    attempt = models.IntegerField()
    body_bytes = models.IntegerField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.line}: {self.job_id}"
