"""Fine-tuning tasks: reading data sets, features, losses, decoding."""
