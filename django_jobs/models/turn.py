"""Who has had which turn: where the next job of a key of turns stands."""

from __future__ import annotations

from django.db import models


class Turn(models.Model):
    """The place behind the jobs that one enqueue, or one promotion, has put into a line under a key.

    Inserted and deleted, never updated: an enqueue whose transaction stays open for long holds up no other one of its
    key. The last row of a key counts, and none once the head of the line has passed it.
    """

    pk = models.CompositePrimaryKey("line", "rank_no", "name", "next_us", "job_id")
    line = models.CharField(max_length=260)
    rank_no = models.SmallIntegerField()
    name = models.CharField(max_length=200)
    next_us = models.BigIntegerField()
    job_id = models.CharField(max_length=64)

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["line", "rank_no", "next_us"], name="django_jobs_turn_passed")]

    def __str__(self) -> str:
        return f"{self.line}: {self.name}"
