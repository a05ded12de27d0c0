-- Every executed task is counted in one month, with its whole cost.
SELECT listed.tasks, ran.tasks AS ran_tasks, listed.cost_usd, ran.cost_usd AS ran_usd
FROM (
  SELECT coalesce(sum(tasks), 0) AS tasks, count(*) AS n,
    coalesce(sum(CASE WHEN cost_source = 'platform' THEN cost_usd END), 0) AS cost_usd
  FROM spend_by_month
) AS listed
CROSS JOIN (
  SELECT count(*) AS tasks, coalesce(sum(cost), 0) AS cost_usd
  FROM tasks
  WHERE status IS DISTINCT FROM 'CACHED'
) AS ran
WHERE listed.tasks <> ran.tasks OR abs(listed.cost_usd - ran.cost_usd) > 0.000001 * (listed.n + 1)
