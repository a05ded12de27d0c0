-- Every run is there once, and its cost is that of its tasks.
SELECT w.id, count(r.run_id) AS times
FROM workflows AS w
LEFT JOIN run_costs AS r ON r.run_id = w.id
GROUP BY w.id
HAVING count(r.run_id) <> 1
