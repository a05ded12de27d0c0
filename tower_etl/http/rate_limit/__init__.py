"""Rate limit of calls per access token, shared by threads, processes and machines."""
