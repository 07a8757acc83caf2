"""What is claimed: one row per claim, however many jobs it took."""

from __future__ import annotations

from django.db import models


class Claimed(models.Model):
    """The jobs of one claim that are not settled. `size` only shrinks, so it is the version of `jobs` too."""

    name = models.CharField(primary_key=True, max_length=100)
    """session/child/number, see core.claim.ClaimName."""
    session_id = models.CharField(max_length=64, db_index=False)
    size = models.IntegerField()
    jobs = models.TextField()
    """JSON: [[job id, attempt], ...]."""
    claimed_us = models.BigIntegerField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["session_id"], name="django_jobs_claimed_session")]

    def __str__(self) -> str:
        return f"{self.name} ({self.size})"
