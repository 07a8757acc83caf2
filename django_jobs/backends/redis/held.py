"""Settling and claiming over one family: what a child knows of its claims saves reading them back."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from django_jobs.backends.redis.family import Family
from django_jobs.backends.redis.ledger import Argument, GiveBack, Group, HeldClaim, Keeping, by_claim
from django_jobs.backends.redis.records import Entry, join_claim, read_claim, split_claim
from django_jobs.backends.redis.scripts import DISCARD, EXCHANGE, HELD
from django_jobs.core.claim import Claim, ClaimName, Want
from django_jobs.core.outcome import Outcome
from django_jobs.exceptions import BrokerUnavailable, InvalidMessage
from django_jobs.ports.broker import Exchanged

logger = logging.getLogger("django_jobs.broker")

TRIES: Final = 20
"""Each failed comparison means that somebody else has written: so many in a row do not happen."""


class Exchange:
    """The claims that one broker object has made and not settled. The stored ones decide, this only guesses."""

    def __init__(self, family: Family, keeping: Keeping, *, out_limit: int) -> None:
        self._family = family
        self._keeping = keeping
        self._out_limit = out_limit
        self._held: dict[ClaimName, HeldClaim] = {}

    # -- children ----------------------------------------------------------------------------------------------

    def exchange(self, outcomes: Sequence[Outcome], want: Want | None) -> Exchanged:
        """Settle and claim; one round trip where the outcomes belong to claims as this object knows them."""
        if want is not None and (want.limit < 1 or not want.queues):
            want = None
        groups, unknown = self._known(by_claim(outcomes))
        stale = self._settle_read(unknown) if unknown else []
        if not groups and want is None:
            return Exchanged(stale=tuple(stale))
        answer = self._family.run(EXCHANGE, _arguments([group for group, _, _ in groups], want, self._out_limit))
        if refused := self._answered(groups, answer[1], stale):
            stale += self._settle_read(refused)
            if want is not None:
                answer = self._family.run(EXCHANGE, _arguments([], want, self._out_limit))
        if want is None:
            return Exchanged(stale=tuple(stale))
        return self.claimed(want, answer, stale)

    def command(self, want: Want) -> list[Any]:
        """Return the command that claims for `want`; `claimed` reads what it answers."""
        return self._family.command(EXCHANGE, _arguments([], want, self._out_limit))

    def claimed(self, want: Want, answer: Sequence[Any], stale: Sequence[str] = ()) -> Exchanged:
        """Take in what a claim has answered."""
        now_us, _, text, records, metas, more, later = answer
        claims = self._took(want.name, text.decode(), records, metas, int(now_us))
        return Exchanged(
            claims=claims, stale=tuple(stale), more=bool(more),
            next_due_seconds=max(0, int(later) - int(now_us)) / 1e6 if later else None,
        )  # fmt: skip

    def _answered(
        self, groups: Sequence[tuple[Group, list[Outcome], list[str]]], refused: Sequence[int], stale: list[str]
    ) -> list[Outcome]:
        """Note what was settled, and return the outcomes of groups that were not."""
        left: list[Outcome] = []
        for number, (group, outcomes, ids) in enumerate(groups, 1):
            if number in refused:
                self._held.pop(group.name, None)
                left += outcomes
            else:
                self._settled(group)
                stale += ids
        return left

    def _known(
        self, by_name: dict[ClaimName, list[Outcome]]
    ) -> tuple[list[tuple[Group, list[Outcome], list[str]]], list[Outcome]]:
        """Split into groups of known claims, each with its outcomes and stale ids, and the outcomes of others."""
        groups: list[tuple[Group, list[Outcome], list[str]]] = []
        unknown: list[Outcome] = []
        for name, outcomes in by_name.items():
            held = self._held.get(name)
            group, stale = held.settle(outcomes, self._keeping) if held is not None else (None, [])
            if group is None:
                unknown += outcomes
            else:
                groups.append((group, outcomes, stale))
        return groups, unknown

    def _settled(self, group: Group) -> None:
        held = self._held.pop(group.name, None)
        if held is not None and group.left:
            left = {job_id: held.entries[job_id] for job_id, _, _ in group.left}
            self._held[group.name] = HeldClaim(group.name, join_claim(group.left), left)

    def _took(
        self, name: ClaimName, text: str, records: Sequence[Any], metas: Sequence[Any], now_us: int
    ) -> tuple[Claim, ...]:
        held = self._read(name, text, records, metas, now_us=now_us)
        if held is None or not held.entries:
            return ()
        self._held[name] = held
        return tuple([entry.claim for entry in held.entries.values()])

    # -- whoever does not know the claims ----------------------------------------------------------------------

    def read(self, names: Iterable[ClaimName]) -> list[HeldClaim]:
        """Read claims as they are stored; one that is not there is left out."""
        asked = list(names)
        arguments: list[Argument] = []
        for name in asked:
            arguments += (name.session, f"{name.child}/{name.number}")
        now_us, found = self._family.run(HELD, arguments)
        claims = [
            self._read(name, text.decode(), *columns, now_us=int(now_us))
            for name, (text, *columns) in zip(asked, found, strict=True)
        ]
        return [held for held in claims if held is not None]

    def give_back(self, names: Collection[ClaimName], make: GiveBack) -> int:
        """Settle all that is left of these claims with outcomes made by `make`; return how many jobs."""
        total = 0
        left = set(names)
        for _ in range(TRIES):
            if not left:
                return total
            groups = []
            for held in self.read(left):
                group, _ = held.settle(make.outcomes(held), self._keeping, counts_failures=False)
                if group is not None:
                    groups.append((group, len(held.entries)))
            refused = self._write([group for group, _ in groups])
            total += sum(size for group, size in groups if group.name not in refused)
            left = refused
        raise BrokerUnavailable(f"Others kept changing the claims {sorted(map(str, left))}; try again.")

    def _settle_read(self, outcomes: Sequence[Outcome]) -> list[str]:
        """Settle against the stored claims; return the ids that are stale."""
        stale: list[str] = []
        open_claims = by_claim(outcomes)
        for _ in range(TRIES):
            groups: list[Group] = []
            stale_of: dict[ClaimName, list[str]] = {}
            stored = {held.name: held for held in self.read(open_claims)}
            for name, outcomes_of in open_claims.items():
                held = stored.get(name)
                if held is None:
                    stale += [outcome.id for outcome in outcomes_of]
                    continue
                group, ids = held.settle(outcomes_of, self._keeping)
                if group is None:
                    stale += ids
                else:
                    groups.append(group)
                    stale_of[name] = ids
            refused = self._write(groups)
            for group in groups:
                if group.name not in refused:
                    stale += stale_of[group.name]
                    self._settled(group)
            open_claims = {name: open_claims[name] for name in refused}
            if not open_claims:
                return stale
        raise BrokerUnavailable(f"Others kept changing the claims {sorted(map(str, open_claims))}; try again.")

    def _write(self, groups: Sequence[Group]) -> set[ClaimName]:
        """Write groups; return the names of those that have changed since they were read."""
        if not groups:
            return set()
        answer = self._family.run(EXCHANGE, _arguments(groups, None))
        return {groups[number - 1].name for number in answer[1]}

    def _read(
        self, name: ClaimName, text: str, records: Sequence[Any], metas: Sequence[Any], started: Sequence[Any] = (),
        flags: Sequence[int] = (), *, now_us: int,
    ) -> HeldClaim | None:  # fmt: skip
        """Return what a claim holds. What is no job of ours is put aside, so that it stops nobody."""
        if not text:
            return None
        entries: dict[str, Entry] = {}
        foreign: list[str] = []
        lines = split_claim(text)
        for index, (job_id, attempt, place) in enumerate(lines):
            try:
                if records[index] is None:
                    raise InvalidMessage(f"The job {job_id} has no record.")
                claim = read_claim(
                    job_id, records[index], metas[index] if metas else None, attempt=attempt, name=name, now_us=now_us
                )
            except InvalidMessage as error:
                logger.error("%s It is put aside, and never run.", error)
                foreign.append(job_id)
                continue
            started_us = int(started[index]) if started and started[index] else None
            entries[job_id] = Entry(claim, place, started_us, bool(flags and flags[index]))
        held = HeldClaim(name, text, entries)
        return self._discard(held, foreign) if foreign else held

    def _discard(self, held: HeldClaim, foreign: Sequence[str]) -> HeldClaim | None:
        name, left = held.name, join_claim(held.lines())
        arguments = [name.session, f"{name.child}/{name.number}", held.text, left, *foreign]
        if not self._family.run(DISCARD, arguments):
            return next(iter(self.read([name])), None)
        return HeldClaim(name, left, held.entries)


def _arguments(groups: Sequence[Group], want: Want | None, out_limit: int = 0) -> list[Argument]:
    arguments: list[Argument] = [len(groups)]
    for group in groups:
        arguments += group.arguments()
    if want is not None:
        name = want.name
        arguments += (
            name.session, f"{name.child}/{name.number}", want.limit, want.max_bytes, int(want.suspects),
            out_limit, *want.queues,
        )  # fmt: skip
    return arguments
