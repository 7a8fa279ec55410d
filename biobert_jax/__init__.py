"""BERT for biomedical text in JAX: corpus preparation, pre-training, fine-tuning, prediction."""

__version__ = "0.1.0"
