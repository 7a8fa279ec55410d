"""Raw biomedical text to shards of packed token ids. Imports neither JAX nor the model."""
