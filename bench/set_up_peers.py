"""Makes the environments of the servers that bench/run.py compares with.

    python bench/set_up_peers.py [--folder FOLDER] [--only NAME]

Each package is installed by itself; what cannot be installed is named at the end, and is left out of the comparison. The
published ``socketify`` needs libuv (Debian: ``apt-get install libuv1``); fastwsgi and bjoern are compiled, which needs a C
compiler and Python's headers, bjoern also libev's (``apt-get install libev-dev``) unless a wheel brings it.
"""

from __future__ import annotations

import argparse
import ctypes.util
import subprocess
import sys
import venv
from pathlib import Path

from environments import DEFAULT_FOLDER, ENVIRONMENTS, OWN, SHARED, Environment, Environments


def install(environments: Environments, environment: Environment) -> list[str]:
    """Makes one environment; returns what failed, in words."""
    place = environments.folder / environment.name
    if environments.python(environment.name) is None:
        venv.create(place, with_pip=True, symlinks=True)
    python = environments.python(environment.name)
    failures = []
    for package in environment.packages:
        own = environments.version(OWN, package) if package in SHARED else None
        wanted = f"{package}=={own}" if own else package
        print(f"{environment.name}: {wanted}", flush=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wanted]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            reasons = [line for line in result.stderr.splitlines() if "error" in line.lower()]
            failures.append(
                f"{package} ({environment.name}): {reasons[-1].strip() if reasons else result.stderr.strip()[-200:]}"
            )
    return failures


def main() -> int:
    """Makes all environments; returns the exit status: 1 when something could not be installed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="where (default: bench/.peers)")
    parser.add_argument("--only", choices=[one.name for one in ENVIRONMENTS], help="one environment")
    arguments = parser.parse_args()
    environments = Environments(arguments.folder)
    failures = []
    for environment in ENVIRONMENTS:
        if arguments.only in (None, environment.name):
            failures += install(environments, environment)
    if ctypes.util.find_library("uv") is None:
        failures.append("libuv is missing: the published socketify will not start; on Debian: apt-get install libuv1")
    for failure in failures:
        print(f"not installed: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
