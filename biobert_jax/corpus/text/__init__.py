"""Documents to token ids: sentences, tokenization, vocabularies."""
