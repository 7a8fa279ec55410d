"""A prepared data set on disk: records, shards, manifest; report and export."""
