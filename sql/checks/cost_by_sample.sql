-- The samples of a run add up to its cost and to its bill.
SELECT s.run_id, s.cost_usd, r.platform_usd, s.bill_usd, r.bill_usd AS run_bill_usd
FROM (
  SELECT run_id, sum(cost_usd) AS cost_usd, sum(bill_usd) AS bill_usd, count(*) AS n
  FROM cost_by_sample
  GROUP BY run_id
) AS s
FULL JOIN bill_by_run AS r ON r.run_id = s.run_id
WHERE s.run_id IS NULL
  OR abs(coalesce(s.cost_usd, 0) - coalesce(r.platform_usd, 0)) > 0.000001 * (s.n + 1)
  OR abs(coalesce(s.bill_usd, 0) - coalesce(r.bill_usd, 0)) > 0.000001 * (s.n + 1)
