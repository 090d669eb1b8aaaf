"""Profiles: the short one runs in CI; ``pytest fuzz --hypothesis-profile=long`` runs for hours."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

_CHECKS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
settings.register_profile("short", max_examples=60, deadline=None, suppress_health_check=_CHECKS)
settings.register_profile("long", max_examples=200_000, deadline=None, suppress_health_check=_CHECKS)
settings.load_profile("short")
