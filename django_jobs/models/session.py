"""Lives of workers, renewed by their keepers."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Session(models.Model):
    """One life of one worker; its id owns what its children have claimed."""

    id = models.CharField(primary_key=True, max_length=64)
    worker = models.CharField(max_length=255)
    host = models.CharField(max_length=255)
    pid = models.IntegerField()
    state = models.CharField(max_length=16)
    started_us = models.BigIntegerField()
    renewed_us = models.BigIntegerField()
    renewals = models.BigIntegerField()
    details = models.TextField()
    orders = models.TextField(null=True)  # noqa: DJ001  workers that do not know the column yet write no text
    """What people have told it: see `core.control`."""

    class Meta:
        default_permissions = ()
        permissions = [("control_worker", "Can make workers quiet, resume and stop them")]
        verbose_name = _("worker")
        verbose_name_plural = _("workers")

    def __str__(self) -> str:
        return self.worker
