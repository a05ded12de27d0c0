"""What to fetch, mark and keep: pure functions of stored state, listing and time."""
