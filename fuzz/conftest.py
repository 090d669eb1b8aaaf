"""Profiles: the short one runs in CI; ``pytest fuzz --hypothesis-profile=long`` runs for hours."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_CHECKS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
# In CI the same examples each time: what it finds is about the change, and searching is for who has time.
_SAME = bool(os.environ.get("CI"))
settings.register_profile("short", max_examples=60, deadline=None, suppress_health_check=_CHECKS, derandomize=_SAME)
settings.register_profile("long", max_examples=200_000, deadline=None, suppress_health_check=_CHECKS)
settings.load_profile("short")
