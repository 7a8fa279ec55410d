"""Token ids to full rows: packed documents, sentence pairs, masked pairs."""
