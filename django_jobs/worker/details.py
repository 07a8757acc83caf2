"""What a worker tells of itself with each renewal of its session, for people to see."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence

import msgspec

from django_jobs.core.control import Answer
from django_jobs.core.session import SessionInfo, SessionState
from django_jobs.worker.layout import ChildWord, Word
from django_jobs.worker.setup import WorkerSetup
from django_jobs.worker.slots import Shared


def state_of(shared: Shared) -> SessionState:
    """Return what the session of a living worker is just now."""
    if shared.stopping:
        return SessionState.STOPPING
    return SessionState.QUIET if shared.words[Word.QUIET] else SessionState.ALIVE


def session_info(
    setup: WorkerSetup, shared: Shared, *, session: str, state: SessionState, answers: Sequence[Answer] = ()
) -> SessionInfo:
    """Return the session as it is stored, with what each child does and what was answered to the last orders."""
    options = setup.options
    details = {
        "version": setup.version,
        "queues": None if options.queues is None else dict(options.queues),
        "pool": options.pool.value,
        "slots": options.slots_of(shared.words[Word.CHILDREN] or options.children),
        "tasks": len(setup.tasks),
        "children_wanted": shared.words[Word.CHILDREN] or options.children,
        "autoscale": list(options.autoscale) if options.autoscale else None,
        "children": [
            {
                "pid": child[ChildWord.PID],
                "running": child[ChildWord.RUNNING],
                "waiting": child[ChildWord.WAITING],
                "started": child[ChildWord.STARTED],
                "memory_bytes": child[ChildWord.MEMORY],
            }
            for child in shared.children
            if child[ChildWord.PID]
        ],
        "answers": [msgspec.to_builtins(answer) for answer in answers],
    }
    return SessionInfo(
        id=session,
        worker=options.name,
        host=socket.gethostname(),
        pid=os.getpid() if setup.options.is_one_process else os.getppid(),
        state=state,
        details=json.dumps(details),
    )
