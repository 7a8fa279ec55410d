"""What every reader does unless it is told otherwise."""

from biobert_jax.corpus.documents import ReadOptions, Share

DEFAULT_OPTIONS = ReadOptions()
WHOLE_FILE = Share()
