"""Locks for maintenance."""

from __future__ import annotations

from django.db import models


class MaintenanceLock(models.Model):
    """A named lock that ends by itself at `until_us`."""

    name = models.CharField(primary_key=True, max_length=100)
    owner = models.CharField(max_length=100)
    until_us = models.BigIntegerField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
