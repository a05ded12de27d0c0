"""Extraction from the API to batches of rows: listings, runs and reference data."""
