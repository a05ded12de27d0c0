-- Every run has one row per currency and source of cost; no category is negative, and they add up to the cost.
SELECT w.run_id, w.cost_usd, r.cost_usd AS run_usd
FROM waste_by_run AS w
INNER JOIN run_costs AS r
  ON r.run_id = w.run_id AND r.currency = w.currency AND r.cost_source = w.cost_source
WHERE abs(coalesce(w.cost_usd, 0) - coalesce(r.cost_usd, 0)) > 0.000002
  OR abs(
    w.retried_usd + w.lost_usd + w.staging_usd + w.escalated_usd + w.over_requested_usd
      + w.useful_usd - w.cost_usd
  ) > 0.000001
  OR least(w.retried_usd, w.lost_usd, w.staging_usd, w.escalated_usd, w.over_requested_usd) < 0
  OR w.useful_usd < -0.000005
UNION ALL
SELECT 'all' AS run_id, NULL AS cost_usd, NULL AS run_usd
FROM (SELECT count(*) AS runs FROM waste_by_run) AS listed
CROSS JOIN (SELECT count(*) AS runs FROM run_costs) AS stored
WHERE listed.runs <> stored.runs
