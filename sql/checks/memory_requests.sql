-- No process uses nothing of what it asks for, and no average is above the most.
SELECT process
FROM memory_requests
WHERE used_gib > most_used_gib OR requested_over_used <= 0
