-- Every task that was paid for is counted once, and every run.
SELECT spent.runs, listed.runs AS listed_runs, spent.cost_usd, listed.cost_usd AS listed_usd
FROM (
  SELECT
    (SELECT count(*) FROM workflows) AS runs,
    coalesce(sum(cost), 0) AS cost_usd
  FROM tasks
  WHERE status IS DISTINCT FROM 'CACHED'
) AS spent
CROSS JOIN (
  SELECT coalesce(sum(runs), 0) AS runs, coalesce(sum(cost_usd), 0) AS cost_usd
  FROM cost_by_workspace
) AS listed
WHERE spent.runs <> listed.runs OR abs(spent.cost_usd - listed.cost_usd) > 0.001
