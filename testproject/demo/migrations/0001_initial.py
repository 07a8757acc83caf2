"""The tables of the demo."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="AuditRun",
            fields=[
                ("id", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("scope", models.CharField(max_length=64)),
                ("host", models.CharField(max_length=255)),
                ("prefix", models.TextField()),
                ("python", models.CharField(max_length=100)),
                ("roots", models.JSONField(default=list)),
                (
                    "state",
                    models.CharField(
                        choices=[("auditing", "Auditing"), ("reporting", "Reporting"), ("done", "Done")],
                        default="auditing",
                        max_length=16,
                    ),
                ),
                ("expected", models.IntegerField()),
                ("done", models.IntegerField(default=0)),
                ("started_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ["-started_at"],
                "default_permissions": ("view",),
                "indexes": [models.Index(fields=["scope", "state"], name="demo_run_scope_state")],
            },
        ),
        migrations.CreateModel(
            name="AuditedDistribution",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.IntegerField()),
                ("name", models.CharField(max_length=255)),
                ("version", models.CharField(max_length=255)),
                ("location", models.TextField()),
                ("files", models.IntegerField(default=0)),
                ("unhashed", models.IntegerField(default=0)),
                ("bytes", models.BigIntegerField(default=0)),
                ("missing", models.IntegerField(default=0)),
                ("altered", models.IntegerField(default=0)),
                ("unreadable", models.IntegerField(default=0)),
                ("has_record", models.BooleanField(default=True)),
                ("findings", models.JSONField(default=list)),
                ("error", models.TextField(blank=True)),
                ("runs", models.IntegerField(default=0)),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="distributions", to="demo.auditrun"
                    ),
                ),
            ],
            options={
                "ordering": ["run", "number"],
                "default_permissions": ("view",),
                "constraints": [models.UniqueConstraint(fields=("run", "number"), name="demo_distribution_run_number")],
            },
        ),
    ]
