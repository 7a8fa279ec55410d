"""`python -m biobert_jax VERB`."""

import sys

from biobert_jax.cli import main

if __name__ == "__main__":
    sys.exit(main())
