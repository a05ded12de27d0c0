-- Of each key, runs and costs of its values are those of all runs.
SELECT k.key, k.runs, s.runs AS all_runs, k.cost_usd, s.cost_usd AS spent_usd
FROM (
  SELECT key, sum(runs) AS runs, coalesce(sum(cost_usd), 0) AS cost_usd, count(*) AS n
  FROM cost_by_label_key
  GROUP BY key
) AS k
CROSS JOIN (
  SELECT count(DISTINCT run_id) AS runs, coalesce(sum(cost_usd), 0) AS cost_usd
  FROM stg_run_spend
) AS s
WHERE k.runs <> s.runs OR abs(k.cost_usd - s.cost_usd) > 0.000001 * (k.n + 1)
