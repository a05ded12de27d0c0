"""Settings: their values, and where each comes from."""
