"""From the API to batches of rows: listings, runs, reference data."""
