"""The whole job on a small embedded corpus: `python -m biobert_jax.quickstart`."""
