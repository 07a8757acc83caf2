"""Ended jobs: what people look at, and what `AsyncResult` reads."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

STATUSES = [
    ("succeeded", _("succeeded")),
    ("failed", _("failed")),
    ("cancelled", _("cancelled")),
    ("expired", _("expired")),
    ("quarantined", _("quarantined")),
]


class JobResult(models.Model):
    """An ended job with its message, so that it can be run again, and what it came to. Inserted once, pruned by age."""

    id = models.CharField(_("id"), primary_key=True, max_length=64)
    task = models.CharField(_("task"), max_length=255)
    queue = models.CharField(_("queue"), max_length=128)
    priority = models.SmallIntegerField(_("priority"))
    status = models.CharField(_("status"), max_length=16, choices=STATUSES)
    body = models.TextField(_("message"))
    id_given = models.BooleanField()
    result = models.TextField(_("result"), blank=True)
    error_class = models.CharField(_("error"), max_length=255, blank=True)
    error_message = models.TextField(_("error message"), blank=True)
    traceback = models.TextField(_("traceback"), blank=True)
    attempts = models.TextField(_("attempts"), blank=True)
    attempt = models.IntegerField(_("claims"))
    failures = models.IntegerField(_("failures"))
    crashes = models.IntegerField(_("crashes"))
    enqueued_at = models.DateTimeField(_("enqueued"))
    started_at = models.DateTimeField(_("started"), null=True)
    finished_at = models.DateTimeField(_("finished"))
    worker = models.CharField(_("worker"), max_length=255, blank=True)

    class Meta:
        verbose_name = _("job result")
        verbose_name_plural = _("job results")
        ordering = ["-id"]
        indexes = [models.Index(fields=["status", "finished_at"], name="django_jobs_result_status")]
        permissions = [
            ("retry_job", "Can retry an ended job"),
            ("cancel_job", "Can cancel a job"),
            ("pause_queue", "Can pause and resume a queue"),
            ("purge_queue", "Can purge a queue"),
            ("pause_schedule", "Can pause and resume a schedule"),
        ]

    def __str__(self) -> str:
        return f"{self.task} {self.id}"
