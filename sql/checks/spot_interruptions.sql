-- Every spot task is in one row, and the lost cost does not exceed the cost.
SELECT machine_type, cloud_zone
FROM spot_interruptions
WHERE lost_usd > cost_usd + 0.001 OR lost_tasks > interrupted_tasks OR interrupted_tasks > tasks
UNION ALL
SELECT 'all', 'all'
FROM (SELECT coalesce(sum(tasks), 0) AS tasks FROM spot_interruptions) AS listed
CROSS JOIN (
  SELECT count(*) AS tasks
  FROM tasks
  WHERE lower(price_model) = 'spot' AND status IS DISTINCT FROM 'CACHED'
) AS ran
WHERE listed.tasks <> ran.tasks
