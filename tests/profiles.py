"""How hard Hypothesis tries: the same few examples in every run, or HYPOTHESIS_PROFILE=thorough for many new ones."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def load() -> None:
    """Choose the profile for this run."""
    settings.register_profile("quick", deadline=None, derandomize=True, database=None)
    settings.register_profile("thorough", deadline=None, max_examples=2000, print_blob=True)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def machine(*, examples: int, steps: int) -> settings:
    """Return settings for a state machine; the thorough profile tries ten times as many, twice as long."""
    thorough = settings.get_current_profile_name() == "thorough"
    return settings(
        max_examples=examples * 10 if thorough else examples,
        stateful_step_count=steps * 2 if thorough else steps,
        suppress_health_check=SLOW_IS_FINE,
    )
