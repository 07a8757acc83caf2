"""What people have told a living worker."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_jobs", "0006_job_progress"),
    ]

    operations = [
        migrations.AddField(
            model_name="session",
            name="orders",
            field=models.TextField(null=True),
        ),
    ]
