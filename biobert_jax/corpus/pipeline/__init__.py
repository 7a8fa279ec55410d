"""From raw files to a data set: plan, tasks, resolution of duplicates, shards; local or Beam."""
