"""Reading of the loaded tables and views, and of the status of syncs."""
