-- For each key, runs and costs of its values add up to those of all runs.
WITH keyed AS (
  SELECT
    key, currency, cost_source, sum(runs) AS runs, coalesce(sum(cost_usd), 0) AS cost_usd,
    count(*) AS n
  FROM cost_by_label_key
  GROUP BY key, currency, cost_source
),

spent AS (
  SELECT currency, cost_source, count(*) AS runs, coalesce(sum(cost_usd), 0) AS cost_usd
  FROM stg_run_spend
  GROUP BY currency, cost_source
)

SELECT k.key, k.runs, s.runs AS all_runs, k.cost_usd, s.cost_usd AS spent_usd
FROM keyed AS k
LEFT JOIN spent AS s ON s.currency = k.currency AND s.cost_source = k.cost_source
WHERE s.runs IS NULL
  OR k.runs <> s.runs
  OR abs(k.cost_usd - s.cost_usd) > 0.000001 * (k.n + 1)
UNION ALL
SELECT key, sum(billed_runs) AS runs, max(b.runs) AS all_runs, sum(k.bill_usd), max(b.bill_usd)
FROM cost_by_label_key AS k
CROSS JOIN (SELECT count(bill_usd) AS runs, sum(bill_usd) AS bill_usd FROM bill_by_run) AS b
GROUP BY key
HAVING sum(billed_runs) <> max(b.runs)
  OR abs(coalesce(sum(k.bill_usd), 0) - coalesce(max(b.bill_usd), 0)) > 0.000001 * (count(*) + max(b.runs))
