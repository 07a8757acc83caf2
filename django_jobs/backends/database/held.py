"""What a child knows of its own claims: enough to settle plain ends without reading a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django_jobs.backends.database.engine import PlainEnds
from django_jobs.core import attempts
from django_jobs.core.claim import Claim, ClaimName
from django_jobs.core.outcome import FINAL, ErrorInfo, Kind, Outcome, StoredResult

NO_ERROR: Final = ErrorInfo(error_class="")


class Held:
    """The claims that this broker object has made and not settled; the stored ones decide, this only guesses."""

    def __init__(self) -> None:
        self._claims: dict[ClaimName, dict[str, Claim]] = {}
        self._last_asked: ClaimName | None = None

    def asked(self, name: ClaimName) -> bool:
        """Note a claim's name before it is sent; True when it was sent before, so that its answer may be lost."""
        repeated = name == self._last_asked
        self._last_asked = name
        return repeated

    def took(self, name: ClaimName, claims: Sequence[Claim]) -> None:
        """Note what a claim brought; it need not be asked for again."""
        if claims:
            self._claims[name] = {claim.message.id: claim for claim in claims}

    def plain(self, outcomes: Sequence[Outcome]) -> tuple[list[PlainEnds], list[Outcome]]:
        """Split outcomes into plain ends of known claims, and those whose rows must be looked at."""
        groups: dict[ClaimName, list[Outcome]] = {}
        rest: list[Outcome] = []
        mixed: set[ClaimName] = set()
        for outcome in outcomes:
            claim = self._claims.get(outcome.name, {}).get(outcome.id)
            if (
                claim is None
                or claim.attempt != outcome.attempt
                or outcome.kind not in FINAL
                or (claim.message.bounds is not None and not claim.message.bounds.only_fair)
            ):
                rest.append(outcome)
                mixed.add(outcome.name)
            else:
                groups.setdefault(outcome.name, []).append(outcome)
        for name in mixed & groups.keys():  # one claim is written once per call
            rest += groups.pop(name)
        return [self._ends(name, group) for name, group in groups.items()], rest

    def _ends(self, name: ClaimName, group: Sequence[Outcome]) -> PlainEnds:
        held = self._claims[name]
        ids = {outcome.id for outcome in group}
        left = [(job_id, claim.attempt) for job_id, claim in held.items() if job_id not in ids]
        ends = PlainEnds(name=str(name), size=len(held), left=left, results=[], dropped=[])
        for outcome in group:
            claim = held[outcome.id]
            if outcome.kind is Kind.SUCCEEDED and not outcome.keep:
                ends.dropped.append((outcome.id, claim.message.id_given))
            else:
                ends.results.append(_stored(claim, outcome))
        return ends

    def settled(self, ends: Sequence[PlainEnds], whole: Sequence[str]) -> None:
        """Forget what was settled; a claim that was not whole is not known any more."""
        for end in ends:
            name = ClaimName.parse(end.name)
            held = self._claims.pop(name, {})
            if end.name in whole and end.left:
                self._claims[name] = {job_id: held[job_id] for job_id, _ in end.left}

    def dropped(self, outcomes: Sequence[Outcome]) -> None:
        """Forget what was settled by looking at the rows."""
        for outcome in outcomes:
            held = self._claims.get(outcome.name)
            if held is not None:
                held.pop(outcome.id, None)
                if not held:
                    del self._claims[outcome.name]


def _stored(claim: Claim, outcome: Outcome) -> StoredResult:
    message = claim.message
    error = outcome.error or NO_ERROR
    record = outcome.record
    return StoredResult(
        id=message.id, task=message.task, queue=message.queue, status=FINAL[outcome.kind], body=message.body,
        priority=message.priority, id_given=message.id_given, result=outcome.result, error_class=error.error_class,
        error_message=error.message, traceback=error.traceback,
        attempts=claim.attempts if record is None else attempts.append(claim.attempts, record),
        attempt=outcome.attempt, failures=claim.failures + (outcome.kind is Kind.FAILED), crashes=claim.crashes,
        enqueued_us=claim.enqueued_us, started_us=outcome.started_us, finished_us=outcome.finished_us,
        worker=outcome.worker,
    )  # fmt: skip
