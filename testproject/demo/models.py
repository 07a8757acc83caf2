"""The audits and what they found: one row per audit, one per distribution in it."""

from __future__ import annotations

from django.db import models


class AuditRun(models.Model):
    """One audit of one environment. Its counts say who finishes last, and with that who enqueues the report."""

    class State(models.TextChoices):
        AUDITING = "auditing"
        REPORTING = "reporting"
        DONE = "done"

    id = models.CharField(primary_key=True, max_length=40)
    scope = models.CharField(max_length=64)
    """Digest of host, interpreter and roots: an unfinished audit goes on only where it began."""
    host = models.CharField(max_length=255)
    prefix = models.TextField()
    """Directory of the environment (sys.prefix)."""
    python = models.CharField(max_length=100)
    roots = models.JSONField(default=list)
    """Directories that were looked into."""
    state = models.CharField(max_length=16, choices=State.choices, default=State.AUDITING)
    expected = models.IntegerField()
    done = models.IntegerField(default=0)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-started_at"]
        default_permissions = ("view",)
        indexes = [models.Index(fields=["scope", "state"], name="demo_run_scope_state")]

    def __str__(self) -> str:
        return self.id


class AuditedDistribution(models.Model):
    """One distribution of one audit; `finished_at` is set once, in the transaction that counts it."""

    run = models.ForeignKey(AuditRun, on_delete=models.CASCADE, related_name="distributions")
    number = models.IntegerField()
    """From 1, in the order of names; with the audit's id it makes the job's id."""
    name = models.CharField(max_length=255)
    version = models.CharField(max_length=255)
    location = models.TextField()
    """Its metadata directory."""
    files = models.IntegerField(default=0)
    unhashed = models.IntegerField(default=0)
    bytes = models.BigIntegerField(default=0)
    missing = models.IntegerField(default=0)
    altered = models.IntegerField(default=0)
    unreadable = models.IntegerField(default=0)
    has_record = models.BooleanField(default=True)
    findings = models.JSONField(default=list)
    """[{path, problem, detail}, ...], bounded; the counts above are whole."""
    error = models.TextField(blank=True)
    """Why its job ended without a verdict; empty when it has one."""
    runs = models.IntegerField(default=0)
    """How often its job was started, the last one included."""
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["run", "number"]
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="demo_distribution_run_number")]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"
