-- The categories add up to the cost of each process, and all processes cost as much as all runs. The
-- retried cost equals that of `retry_waste`.
SELECT w.process, w.cost_usd, c.cost_usd AS process_usd
FROM waste_by_process AS w
INNER JOIN cost_by_process AS c
  ON c.process = w.process AND c.currency = w.currency AND c.cost_source = w.cost_source
WHERE abs(coalesce(w.cost_usd, 0) - coalesce(c.cost_usd, 0)) > 0.000002
  OR abs(
    w.retried_usd + w.lost_usd + w.staging_usd + w.escalated_usd + w.over_requested_usd
      + w.useful_usd - w.cost_usd
  ) > 0.000001
UNION ALL
SELECT 'retried' AS process, w.usd AS cost_usd, r.usd AS process_usd
FROM (SELECT coalesce(sum(retried_usd), 0) AS usd, count(*) AS n FROM waste_by_process) AS w
CROSS JOIN (SELECT coalesce(sum(wasted_usd), 0) AS usd FROM retry_waste) AS r
WHERE abs(w.usd - r.usd) > 0.000002 * (w.n + 1)
