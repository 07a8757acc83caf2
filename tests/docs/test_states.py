"""The page about states says what core.states says."""

from __future__ import annotations

import re

from django_jobs.core.states import CELERY_NAMES, TRANSITIONS, State
from tests.docs.pages import ROOT, Page

PAGE = Page(ROOT / "docs" / "explanation" / "states.md")
EXPECTED = {(before.name, after.name) for before, others in TRANSITIONS.items() for after in others}


def test_the_diagram_has_every_transition_and_no_other() -> None:
    (diagram,) = (block for block in PAGE.blocks() if block.language == "mermaid")
    assert set(re.findall(r"^ +(\w+) --> (\w+)", diagram.text, re.MULTILINE)) == EXPECTED


def test_the_table_has_every_transition_and_no_other() -> None:
    rows = [re.findall(r"`(\w+)`", line) for line in PAGE.prose.splitlines() if line.startswith("| `")]
    assert {(before, after) for before, _, *others in rows for after in others} == EXPECTED
    assert {before: celery for before, celery, *_ in rows} == {state.name: CELERY_NAMES[state] for state in State}
