"""Who is signalled and who is killed, seen from the table of a child: a real process that sleeps."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator

import pytest

from django_jobs.core.claim import Claim, ClaimName
from django_jobs.core.message import Message
from django_jobs.execution.limits import Cancel
from django_jobs.worker.deadlines import Deadlines
from django_jobs.worker.enforcer import AGAIN_SECONDS, LOOK_SECONDS, Enforcer, Running
from django_jobs.worker.layout import ChildWord, Flag, Word
from django_jobs.worker.slots import Shared


class Scene:
    """One child with jobs that run, and a process that stands for it."""

    def __init__(self, script: str = "echo ready; exec sleep 60") -> None:
        self.now = 100.0
        self.shared = Shared(1)
        self.slots = self.shared.children[0]
        self.process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline()  # it has set its traps
        self.running = Running(pid=self.process.pid, slots=self.slots)
        self.enforcer = Enforcer(self.shared)
        self.pokes = 0
        self.deadlines = Deadlines(
            shared=self.shared,
            slots=self.slots,
            poke_supervisor=self.poke,
            clock=lambda: self.now,
            in_main_thread=False,
        )

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()

    def poke(self) -> None:
        self.pokes += 1

    def start(self, count: int = 1) -> list[int]:
        claims = [
            Claim(
                message=Message(id=f"job-{number}", task="t", queue="q", body="{}"),
                name=ClaimName("s", 1, 1),
                attempt=1,
            )
            for number in range(count)
        ]
        places = self.slots.put(claims, [0] * count, self.now)
        for place in places:
            self.slots.start(place, self.now, 1)
        return places

    def watch(self, seconds: float = 0.0) -> None:
        self.now += seconds
        self.enforcer.watch([self.running], self.now)

    def flags(self) -> list[Flag]:
        return [job.flags & (Flag.SOFT_DUE | Flag.HARD_DUE) for job in self.slots.jobs()]


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.close()


def test_the_process_is_killed_at_the_hard_limit_and_only_that_job_is_to_blame(scene: Scene) -> None:
    first, _ = scene.start(2)
    scene.deadlines.begin(first, soft_seconds=None, hard_seconds=1.0)

    scene.watch(0.9)
    assert scene.enforcer.seconds_left(scene.now) == pytest.approx(0.1)
    assert scene.process.poll() is None
    scene.watch(0.2)

    assert scene.running.killed
    assert scene.process.wait(5) == -signal.SIGKILL
    assert scene.flags() == [Flag.HARD_DUE, Flag(0)]


def test_the_soft_limit_is_signalled_once(scene: Scene) -> None:
    [place] = scene.start()
    scene.slots.limit(place, soft_at=scene.now + 1, hard_at=0.0)

    scene.watch(1.5)
    assert scene.process.wait(5) == -signal.SIGUSR1  # `sleep` knows no better
    scene.watch(1.5)

    assert scene.flags() == [Flag.SOFT_DUE]
    assert scene.enforcer.seconds_left(scene.now) == float("inf")


def test_a_job_that_has_ended_is_over_no_limit(scene: Scene) -> None:
    first, second = scene.start(2)
    for place in (first, second):
        scene.deadlines.begin(place, soft_seconds=None, hard_seconds=1.0)
    scene.deadlines.end(first)
    scene.slots.done(second)

    scene.watch(5)

    assert not scene.running.killed
    assert scene.process.poll() is None


def test_only_a_limit_that_is_reached_before_the_next_look_pokes(scene: Scene) -> None:
    first, second = scene.start(2)
    scene.watch()
    assert scene.shared.floats[Word.LIMITS_AT] == scene.now + LOOK_SECONDS

    scene.deadlines.begin(first, soft_seconds=None, hard_seconds=60.0)
    assert scene.pokes == 0
    scene.deadlines.begin(second, soft_seconds=None, hard_seconds=0.1)
    assert scene.pokes == 1


def test_a_job_without_limits_leaves_no_trace(scene: Scene) -> None:
    [place] = scene.start()
    scene.deadlines.begin(place, soft_seconds=5.0, hard_seconds=None)  # soft, in a thread: not kept
    scene.deadlines.end(place)

    assert scene.slots[ChildWord.LIMITED] == 0


def test_where_nothing_can_be_killed_hard_limits_are_left_alone(scene: Scene) -> None:
    [place] = scene.start()
    scene.deadlines.begin(place, soft_seconds=None, hard_seconds=1.0)
    enforcer = Enforcer(scene.shared, kills=False)

    enforcer.watch([scene.running], scene.now + 5)

    assert not scene.running.killed
    assert enforcer.seconds_left(scene.now + 5) == float("inf")


def doom(scene: Scene, place: int) -> None:
    """Do what the keeper does once it has heard of a cancel that terminates."""
    with scene.slots.locked():
        scene.slots.flag(place, 1, Flag.TERMINATE)
        scene.slots.count_cancels()


def test_a_doomed_job_is_signalled_again_and_killed_after_its_grace() -> None:
    scene = Scene("trap '' USR1; echo ready; while :; do sleep 0.02; done")
    try:
        _, place = scene.start(2)
        scene.watch()
        assert scene.enforcer.seconds_left(scene.now) == float("inf")
        doom(scene, place)

        scene.watch()
        assert scene.enforcer.seconds_left(scene.now) == pytest.approx(AGAIN_SECONDS)
        scene.watch(2.9)
        assert scene.process.poll() is None
        scene.watch(0.2)

        assert scene.running.killed
        assert scene.process.wait(5) == -signal.SIGKILL
        assert scene.flags() == [Flag(0), Flag(0)]
    finally:
        scene.close()


def test_a_doomed_job_that_has_ended_saves_its_process(scene: Scene) -> None:
    [place] = scene.start()
    doom(scene, place)
    scene.slots.done(place)

    scene.watch(60)

    assert not scene.running.killed
    assert scene.process.poll() is None


def test_what_a_job_can_ask_costs_one_look_while_nobody_cancels(scene: Scene) -> None:
    first, second = scene.start(2)
    assert not scene.slots.is_cancelled("job-0", 1)
    with scene.slots.locked():
        scene.slots.flag(first, 1, Flag.CANCELLED)
        scene.slots.count_cancels()
    assert scene.slots[ChildWord.CANCELS] == 1
    assert scene.slots.is_cancelled("job-0", 1)
    assert not scene.slots.is_cancelled("job-0", 2)
    assert not scene.slots.is_cancelled("job-1", 1)
    assert scene.deadlines.cancel_of(first) is Cancel.REQUESTED
    doom(scene, second)
    assert scene.deadlines.cancel_of(second) is Cancel.TERMINATED
    scene.slots.done(first)
    with scene.slots.locked():
        scene.slots.count_cancels()
    assert scene.slots[ChildWord.CANCELS] == 1
