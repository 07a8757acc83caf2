"""The site that `demo --serve` leaves running: Django's development server, and a login for its admin."""

from __future__ import annotations

import secrets
import time
from typing import Final

from django.contrib.auth import get_user_model

from testproject.demo import places
from testproject.demo.errors import DemoError
from testproject.demo.processes import HOST, ManagedProcess, answers, free_port

USER: Final = "demo"
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 5.0


class DemoSite:
    """`manage.py runserver` on loopback."""

    def __init__(self, *, port: int) -> None:
        """Start it; `port` 0 takes a free one.

        Raises:
            DemoError: the port cannot be used.
        """
        self.port = free_port(port)
        address = f"{HOST}:{self.port}"
        self.url = f"http://{address}/"
        self._process = ManagedProcess(
            ["runserver", "--noreload", "--skip-checks", "--insecure", address],
            project=places.project(),
            log=places.logs() / "site.log",
        )

    def wait_until_it_answers(self) -> None:
        """Return once it accepts connections.

        Raises:
            DemoError: it ended, or says nothing for too long.
        """
        deadline = time.monotonic() + START_SECONDS
        while not answers(self.port):
            self.check(wait_seconds=0.1)
            if time.monotonic() > deadline:
                raise DemoError(f"The site does not answer after {START_SECONDS:.0f} s. See {self._process.log}.")

    def check(self, *, wait_seconds: float = 0.0) -> None:
        """Wait, and complain if it has ended.

        Raises:
            DemoError: with its last words.
        """
        code = self._process.wait(wait_seconds)
        if code is not None:
            raise DemoError(f"The site ended with exit code {code}: {self._process.last_words() or 'it said nothing'}")

    def stop(self) -> None:
        """End it."""
        self._process.stop(patience_seconds=STOP_SECONDS)


def make_login() -> str:
    """Give the superuser `demo`, made where it is missing, a new random password; return it.

    It is stored as a hash only: whoever did not note it gets another one at the next start.
    """
    users = get_user_model()._default_manager
    password = secrets.token_urlsafe(12)
    user, _ = users.get_or_create(
        username=USER, defaults={"email": "demo@localhost", "is_staff": True, "is_superuser": True}
    )
    user.set_password(password)
    user.save()
    return password
