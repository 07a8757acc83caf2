"""`demo --serve`: a site with a login, until Ctrl-C."""

from __future__ import annotations

import http.cookiejar
import re
import signal
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from django_jobs.models import PeriodicSchedule
from testproject.demo.processes import answers
from tests.conftest import attached
from tests.demo.fake_site import install
from tests.demo.harness import DEADLINE_SECONDS, Demo, is_gone, wait_until
from tests.services import Database

SITE = re.compile(r"http://127\.0\.0\.1:(?P<port>\d+)/admin/ user (?P<user>\S+), password (?P<password>\S+) ")
REPORT = re.compile(r'href="(/demo/[^"]+)"')


class Browser:
    """Enough of one: cookies and forms."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def get(self, path: str) -> str:
        with self._opener.open(f"{self.base}{path}", timeout=10) as response:
            return str(response.read().decode())

    def log_in(self, user: str, password: str) -> str:
        self.get("/admin/login/")
        token = next(cookie.value for cookie in self.cookies if cookie.name == "csrftoken")
        form = {"username": user, "password": password, "csrfmiddlewaretoken": token, "next": "/admin/"}
        data = urllib.parse.urlencode(form).encode()
        with self._opener.open(f"{self.base}/admin/login/", data, timeout=10) as response:
            return str(response.read().decode())


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_site_is_left_running_with_a_login_until_ctrl_c(demo: Demo, database: Database) -> None:
    install(demo.site, "apple", {"a.py": b"x"})

    process = demo.start("--serve", "--port", "0")
    wait_until(lambda: "Ctrl-C ends both" in demo.output(), "the audit has ended and the site stays")
    found = SITE.search(demo.output())
    assert found is not None
    browser = Browser(f"http://127.0.0.1:{found['port']}")
    admin = browser.log_in(found["user"], found["password"])
    links = REPORT.findall(browser.get("/"))  # with those of other environments that were audited over this database
    report = browser.get(links[0])
    worker = demo.worker_pid()

    assert "Log out" in admin
    assert "apple 1.0" in report
    with pytest.raises(urllib.error.HTTPError, match="404"):
        browser.get("/demo/no-such-audit/")
    assert process.poll() is None

    with attached(database, "demo_file") as alias:
        PeriodicSchedule.objects.using(alias).update(next_run_us=time.time_ns() // 1000 - 1_000_000)
        wait_until(lambda: len(REPORT.findall(browser.get("/"))) == len(links) + 1, "the audit was repeated")

    process.send_signal(signal.SIGINT)

    assert process.wait(DEADLINE_SECONDS) == 0
    assert is_gone(worker)
    assert not answers(int(found["port"]))
    assert demo.errors() == ""
