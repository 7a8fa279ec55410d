"""Parameters on disk: Orbax (ours), Hugging Face folders, and the way from one to the other."""
