"""Routes of the simulated API, below `/api`."""
