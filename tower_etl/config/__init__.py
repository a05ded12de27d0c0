"""Settings of a sync, and their resolution from flags, environment and dlt's configuration."""
