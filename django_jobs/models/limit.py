"""The state of a limit: what jobs of one key wait for."""

from __future__ import annotations

from django.db import models


class Limit(models.Model):
    """One key. Written by workers only, who hold its lock while they let jobs through."""

    name = models.CharField(primary_key=True, max_length=255)
    slots = models.IntegerField(null=True)
    period_us = models.BigIntegerField(null=True)
    burst = models.IntegerField()
    next_us = models.BigIntegerField()
    """The pace: the instant of the next start, if there is no burst."""
    timer_us = models.BigIntegerField()
    """When it is to be looked at again: its row in Due; 0 for none."""

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
