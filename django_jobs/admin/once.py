"""Forms that work once: the id of the job that a form is to make travels with it, signed.

A broker takes an id once: what is sent twice, by a double click or from a page that is looked at again, is one job.
"""

from __future__ import annotations

from typing import Final

from django.core import signing
from django.http import HttpRequest

from django_jobs.core.message import new_id

FIELD: Final = "once"
VALID_SECONDS: Final = 20 * 3600
"""Less than the day for which a broker remembers an id that was given."""
_SALT: Final = "django_jobs.admin.once"


def make_token(request: HttpRequest, purpose: str) -> str:
    """Return what goes into a form of this user for `purpose`, as `task 7`."""
    return signing.dumps([new_id(), purpose, str(request.user.pk)], salt=_SALT)


def job_id_of(request: HttpRequest, purpose: str) -> str | None:
    """Return the id of the job that the posted form is to make; None for a form that is too old or not ours."""
    try:
        job_id, wanted, user = signing.loads(request.POST.get(FIELD, ""), salt=_SALT, max_age=VALID_SECONDS)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return str(job_id) if (wanted, user) == (purpose, str(request.user.pk)) else None
