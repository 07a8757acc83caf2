"""The processes of one run: started together, looked at for their CPU time and memory, and ended together."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

from tests.bench.errors import BenchError

ROOT: Final = Path(__file__).resolve().parents[2]
STOP_SECONDS: Final = 10.0


CpuByThread = dict[int, float]
"""CPU seconds so far, by thread id; by process id where the system tells no more."""


def cpu_by_thread(processes: Sequence[psutil.Process]) -> CpuByThread:
    """Return the CPU time of every thread of `processes`.

    Linux tells it to the nanosecond, but not as psutil reads it: a hundredth of a second is 5 % of a short run.
    """
    found: CpuByThread = {}
    for process in processes:
        try:
            threads = os.listdir(f"/proc/{process.pid}/task")
        except FileNotFoundError:
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                found[process.pid] = times.user + times.system
            continue
        for thread in threads:
            with suppress(FileNotFoundError), open(f"/proc/{process.pid}/task/{thread}/schedstat") as file:
                found[int(thread)] = int(file.read().split()[0]) / 1e9
    return found


def cpu_used(before: CpuByThread, after: CpuByThread) -> float:
    """Return the CPU seconds between two looks; of threads that have come since, all of theirs."""
    return sum(max(0.0, seconds - before.get(thread, 0.0)) for thread, seconds in after.items())


def machine_busy_seconds() -> float:
    """Return the CPU time that anything on this machine has used since it started."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0) + getattr(times, "steal", 0.0)
    # Linux counts the time of guests as user time too.
    return float(sum(times) - idle - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0))


def listening_process(port: int) -> psutil.Process | None:
    """Return the process of this machine that listens on `port`; None where it cannot be seen."""
    try:
        found = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return None
    for connection in found:
        if connection.status == psutil.CONN_LISTEN and connection.pid and connection.laddr[1:] == (port,):
            return psutil.Process(connection.pid)
    return None


class Group:
    """Processes that work together, each leader in a session of its own; `with` ends all of them."""

    def __init__(self, commands: Sequence[Sequence[str]], *, environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        self._leaders: list[subprocess.Popen[bytes]] = []
        self._members: list[psutil.Process] = []
        self._environment = {**os.environ, **environment}
        self._commands = commands

    def __enter__(self) -> Self:
        with self._log.open("ab") as output:
            for command in self._commands:
                self._leaders.append(
                    subprocess.Popen(
                        command,
                        cwd=ROOT,
                        env=self._environment,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                )
        self.refresh()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def refresh(self) -> None:
        """Look for the processes that were started since; slow, so not inside what is measured."""
        self._members = []
        for leader in self._leaders:
            try:
                process = psutil.Process(leader.pid)
                self._members += [process, *process.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue

    def check(self) -> None:
        """Raise BenchError where one of the leaders has ended."""
        for leader in self._leaders:
            if leader.poll() is not None:
                raise BenchError(f"A process has ended with status {leader.returncode}. It said:\n{self.said()}")

    def said(self) -> str:
        """Return the end of what the processes have written."""
        return self._log.read_text(errors="replace")[-4000:]

    def cpu(self) -> CpuByThread:
        return cpu_by_thread(self._members)

    def memory_bytes(self) -> int:
        """Return the proportional set size of all; the resident size where the system does not know that one."""
        total = 0
        for process in self._members:
            try:
                memory = process.memory_full_info()
            except psutil.NoSuchProcess:
                continue
            total += getattr(memory, "pss", memory.rss)
        return total

    def __len__(self) -> int:
        return len(self._members)

    def stop(self) -> None:
        """Ask the leaders to end, and kill what is left of them after a while."""
        self.refresh()
        for leader in self._leaders:
            if leader.poll() is None:
                leader.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for leader in self._leaders:
            try:
                leader.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                leader.kill()
                leader.wait()
        for process in self._members:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
