"""BERT as flax.nnx modules: embeddings, encoder, attention, heads, masking."""
