"""What people have told a living worker, and who may."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_jobs", "0008_terminate"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="session",
            options={
                "default_permissions": (),
                "permissions": [("control_worker", "Can make workers quiet, resume and stop them")],
                "verbose_name": "worker",
                "verbose_name_plural": "workers",
            },
        ),
        migrations.AddField(
            model_name="session",
            name="orders",
            field=models.TextField(null=True),
        ),
    ]
