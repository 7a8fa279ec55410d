"""What the scripts beside this folder share; Python's standard library alone."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(f"error: tpu_scripts need Python 3.11 or newer, for example: python3.12 {sys.argv[0]}")
