-- Every sync has one row.
SELECT s.id, count(h.sync_id) AS times
FROM sync_runs AS s
LEFT JOIN sync_history AS h ON h.sync_id = s.id
GROUP BY s.id
HAVING count(h.sync_id) <> 1
