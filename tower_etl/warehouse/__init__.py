"""Reading what was loaded: tables, views and the status of the syncs."""
