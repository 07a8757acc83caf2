"""Messages on their way to a broker outside of the database: written in the caller's transaction, sent by relays."""

from __future__ import annotations

from django.db import models


class OutboxMessage(models.Model):
    """A message that its broker has not confirmed. It goes when it has; the broker takes one id in only once."""

    id = models.CharField(primary_key=True, max_length=64)
    """The job's id."""
    message = models.TextField()
    """JSON of the message, its times absolute."""
    created_us = models.BigIntegerField()
    next_us = models.BigIntegerField()
    """When it may be taken (again); whoever takes it moves this ahead, so that a relay that dies holds nothing up."""
    taken_by = models.CharField(max_length=64, blank=True)
    """The session of the relay that took it last."""
    failures = models.IntegerField(default=0)
    error = models.TextField(blank=True)
    """Why the broker refused it last."""

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["next_us"], name="django_jobs_outbox_next")]

    def __str__(self) -> str:
        return self.id
