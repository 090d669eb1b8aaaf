"""``python -m socketify module:app``."""

import sys

from .cli import main

sys.exit(main())
