"""The form of a schedule: what may be in it, and why not."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

import msgspec
from django import forms
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_jobs.admin.nextruns import UNITS, rule_of, seconds_of
from django_jobs.admin.tasks import task_names
from django_jobs.client.tick import message_of, told
from django_jobs.connections import connections
from django_jobs.core.crontab import Crontab
from django_jobs.core.options import check_priority, check_queue, check_seconds
from django_jobs.core.schedule import zone_named
from django_jobs.core.serializer import from_plain, to_plain
from django_jobs.exceptions import (
    EnqueueError,
    InvalidArguments,
    InvalidSchedule,
    JobsError,
    SerializationError,
    TaskNotRegistered,
)
from django_jobs.models import PeriodicSchedule

RULE_FIELDS = ("crontab", "day_rule", "interval_seconds", "time_zone")
UNIT_CHOICES = [("seconds", _("seconds")), ("minutes", _("minutes")), ("hours", _("hours")), ("days", _("days"))]


class IntervalWidget(forms.MultiWidget):
    """A number and its unit."""

    def __init__(self) -> None:
        number = forms.NumberInput(attrs={"step": "any", "min": "0", "class": "jobs-number", "aria-label": _("number")})
        super().__init__([number, forms.Select(choices=UNIT_CHOICES, attrs={"aria-label": _("unit")})])

    def decompress(self, value: Any) -> list[Any]:
        if value is None:
            return [None, "minutes"]
        unit = next(unit for unit in reversed(UNITS) if value % UNITS[unit] == 0 or unit == "seconds")
        return [f"{value / UNITS[unit]:.15g}", unit]


class IntervalField(forms.Field):
    """Gives seconds; None where no number is given."""

    widget = IntervalWidget

    def clean(self, value: Any) -> float | None:
        try:
            return seconds_of(value)
        except InvalidSchedule as error:
            raise forms.ValidationError(str(error)) from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(seconds_of(data) != initial)
        except InvalidSchedule:
            return True


class JSONColumn(forms.CharField):
    """Text that is JSON as messages carry it; it is stored in one way of writing, and empty is nothing."""

    def __init__(self, *, kind: type, example: str, **kwargs: Any) -> None:
        widget = AdminTextareaWidget(attrs={"rows": 2, "spellcheck": "false", "class": "jobs-code"})
        super().__init__(required=False, widget=widget, **kwargs)
        self._kind = kind
        self._example = example

    def clean(self, value: Any) -> str:
        text = super().clean(value) or msgspec.json.encode(self._kind()).decode()
        try:
            read = from_plain(msgspec.json.decode(text))
            written = msgspec.json.encode(to_plain(read, "it")).decode()
        except (msgspec.DecodeError, RecursionError, JobsError) as error:
            why = gettext("This is no JSON that can be read: %(why)s") % {"why": str(error)[:300]}
            raise forms.ValidationError(why) from None
        if not isinstance(read, self._kind):
            raise forms.ValidationError(gettext("It is written like this: %(example)s") % {"example": self._example})
        return written


class ScheduleForm(forms.ModelForm):  # type: ignore[type-arg]  # Django's classes take none at run time
    """A schedule that people make in the admin."""

    task = forms.ChoiceField(label=_("Task"))
    args = JSONColumn(kind=list, example='[1, "two"]', label=_("Arguments"), help_text=_("A JSON list."))
    kwargs = JSONColumn(kind=dict, example='{"name": 1}', label=_("Arguments by name"), help_text=_("A JSON object."))
    interval_seconds = IntervalField(label=_("Or every"), required=False)

    class Meta:
        model = PeriodicSchedule
        fields = (
            "name", "task", "args", "kwargs", "crontab", "day_rule", "interval_seconds", "time_zone",
            "queue", "priority", "expires_seconds",
        )  # fmt: skip
        help_texts = {
            "crontab": _("Minute, hour, day of month, month, day of week; or @daily and the like."),
            "day_rule": _("Which days are meant where both the day of month and the day of week are given."),
        }
        widgets = {
            "crontab": AdminTextInputWidget(
                attrs={"class": "jobs-code", "placeholder": "30 7 * * 1", "autocomplete": "off"}
            ),
            "time_zone": AdminTextInputWidget(attrs={"list": "jobs-zones", "autocomplete": "off"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "time_zone" not in self.fields:  # a page to look at only
            return
        self.fields["task"].choices = self._tasks()  # type: ignore[attr-defined]  # it is a ChoiceField
        zone = connections.policy.time_zone
        self.fields["time_zone"].help_text = gettext("Empty: %(zone)s, the project's.") % {"zone": zone}

    def _tasks(self) -> list[tuple[str, str]]:
        names = task_names()
        current = self.instance.task
        gone = [(current, gettext("%(task)s (not there any more)") % {"task": current})]
        return [
            ("", "---------"),
            *((name, name) for name in names),
            *(gone if current and current not in names else []),
        ]

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not name.isprintable():
            raise forms.ValidationError(_("A name has printable characters only."))
        same = PeriodicSchedule.objects.using(connections.policy.database).filter(name=name)
        if same.exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError(_("There is a schedule of this name already."))
        return name

    def validate_unique(self) -> None:
        """Leave it to `clean_name`, which asks the database that has the schedules."""

    def clean_time_zone(self) -> Any:
        return self._checked("time_zone", lambda name: zone_named(name).key)

    def clean_queue(self) -> Any:
        return self._checked("queue", check_queue)

    def clean_priority(self) -> Any:
        return self._checked("priority", check_priority)

    def clean_expires_seconds(self) -> Any:
        return self._checked("expires_seconds", check_seconds)

    def _checked(self, name: str, check: Any) -> Any:
        """Return a value as `check` makes it; what is empty stays so: it stands for the project's or the task's."""
        value = self.cleaned_data[name]
        if value in (None, ""):
            return value
        try:
            return check(value)
        except (ValueError, InvalidSchedule) as error:
            raise forms.ValidationError(str(error)) from None

    def clean(self) -> dict[str, Any]:
        super().clean()
        cleaned = self.cleaned_data
        try:
            rule = rule_of(cleaned)
        except InvalidSchedule as error:
            self.add_error("crontab" if cleaned.get("crontab") else "interval_seconds", str(error))
            return cleaned
        if rule is None and not {"crontab", "interval_seconds"} & self.errors.keys():
            self.add_error("crontab", gettext("Give a crontab or an interval."))
        if isinstance(rule, Crontab):
            cleaned["crontab"] = rule.line
        return cleaned

    def _post_clean(self) -> None:
        """Ask last whether the task takes the call, of the row as it would be stored."""
        super()._post_clean()  # type: ignore[misc]  # Django's own hook, which django-stubs leave out
        if self.errors:
            return
        try:
            message_of(self.instance.declaration(), 0)
        except (InvalidArguments, SerializationError) as error:
            self.add_error("args", told(error))
        except (EnqueueError, TaskNotRegistered, InvalidSchedule) as error:
            self.add_error(None, told(error))


@lru_cache(maxsize=1)
def time_zones() -> tuple[str, ...]:
    """Return the names that the field of the time zone offers."""
    return tuple(sorted(name for name in available_timezones() if "/" in name or name == "UTC"))
