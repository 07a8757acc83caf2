"""Live jobs of the database broker: a row from the enqueue to the end. Written once, then only when it went wrong."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Job(models.Model):
    """A job that has not ended. Where it stands is said by its row in Ready, in Due, or by neither: then it is claimed.

    Columns ending in `_us` are microseconds since 1970, UTC, of the database's clock.
    """

    id = models.CharField(primary_key=True, max_length=64)
    task = models.CharField(max_length=255)
    queue = models.CharField(max_length=128)
    priority = models.SmallIntegerField()
    body = models.TextField()
    body_bytes = models.IntegerField()
    id_given = models.BooleanField()
    enqueued_us = models.BigIntegerField()
    at_us = models.BigIntegerField()
    """When it was enqueued, or is due: its place in line, unless it has another. With it the key in Ready and Due."""
    expires_us = models.BigIntegerField(null=True)
    failures = models.IntegerField()
    crashes = models.IntegerField()
    suspect = models.BooleanField()
    parked = models.BooleanField()
    cancel_requested = models.BooleanField()
    terminate_requested = models.BooleanField(db_default=False)
    """Whether its worker is to end it. Not among the columns that enqueues write and claims read."""
    started_us = models.BigIntegerField(null=True)
    attempts = models.TextField()
    unique_key = models.CharField(max_length=255, null=True)  # noqa: DJ001  null, not "", costs nothing in the row
    """The key that the job took at its enqueue."""
    gate = models.CharField(max_length=260, null=True)  # noqa: DJ001  as above
    """The line in which it waits for its limit, before each claim."""
    fair_key = models.CharField(max_length=200, null=True)  # noqa: DJ001  as above
    """By which it takes turns with others."""
    place_us = models.BigIntegerField(null=True)
    """Its place in line, where its turn gave it another one than `at_us`."""

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.task} {self.id}"
