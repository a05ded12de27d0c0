-- The samples of a run add up to its cost, in each currency and source of cost, and to its bill.
WITH summed AS (
  SELECT run_id, currency, cost_source, sum(cost_usd) AS cost_usd, count(*) AS n
  FROM cost_by_sample
  GROUP BY run_id, currency, cost_source
),

billed AS (
  SELECT run_id, sum(bill_usd) AS bill_usd, count(*) AS n
  FROM cost_by_sample
  GROUP BY run_id
)

SELECT r.run_id, 'cost' AS what, s.cost_usd AS found, r.cost_usd AS expected
FROM stg_run_spend AS r
LEFT JOIN summed AS s
  ON s.run_id = r.run_id AND s.currency = r.currency AND s.cost_source = r.cost_source
WHERE s.run_id IS NULL
  OR abs(coalesce(s.cost_usd, 0) - coalesce(r.cost_usd, 0)) > 0.000001 * (s.n + 1)
UNION ALL
SELECT r.run_id, 'bill' AS what, b.bill_usd AS found, r.bill_usd AS expected
FROM bill_by_run AS r
LEFT JOIN billed AS b ON b.run_id = r.run_id
WHERE b.run_id IS NULL
  OR abs(coalesce(b.bill_usd, 0) - coalesce(r.bill_usd, 0)) > 0.000001 * (b.n + 1)
