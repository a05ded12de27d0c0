-- Every run is counted once, with its whole cost.
SELECT listed.runs, listed.cost_usd, held.runs AS held_runs, held.cost_usd AS held_usd
FROM (
  SELECT coalesce(sum(runs), 0) AS runs, coalesce(sum(cost_usd), 0) AS cost_usd
  FROM cost_by_month
) AS listed
CROSS JOIN (SELECT count(*) AS runs, coalesce(sum(cost_usd), 0) AS cost_usd FROM run_costs) AS held
WHERE listed.runs <> held.runs OR abs(listed.cost_usd - held.cost_usd) > 0.001
