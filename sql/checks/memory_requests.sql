-- No recommendation is below a measured peak, and a saving is within its bounds and the cost.
SELECT m.process
FROM memory_requests AS m
INNER JOIN (
  SELECT coalesce(process, 'unknown') AS process, max(peak_rss) / 1073741824.0 AS peak_gib
  FROM tasks
  WHERE status IS DISTINCT FROM 'CACHED'
  GROUP BY coalesce(process, 'unknown')
) AS t ON t.process = m.process
WHERE m.recommended_gib < t.peak_gib
  OR m.used_gib > m.most_used_gib + 0.01
  OR m.requested_over_used < 0
  OR m.recommended_gib < 1
  OR m.lowest_requested_gib > m.requested_gib
  OR m.weak <> (m.tasks < 10)
  OR m.saves_gib_hours < 0
  OR m.saves_at_least_usd < 0
  OR m.saves_at_least_usd > m.saves_at_most_usd + 0.000002
  OR m.saves_estimate_usd > m.saves_at_most_usd + 0.000002
  OR m.saves_at_most_usd > m.cost_usd + 0.000002
