"""Cloud bills: exports are read, loaded by billing period, and checked against the runs."""
