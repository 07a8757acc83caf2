"""Jobs whose cancel asks the worker to end them."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_jobs", "0007_pause"),
    ]

    operations = [
        migrations.AddField(
            model_name="job",
            name="terminate_requested",
            field=models.BooleanField(db_default=False),
        ),
    ]
