-- What is listed is half as slow or expensive again at least, with a history to compare with, and says
-- how sure it is.
SELECT run_id, process
FROM regressions
WHERE earlier_runs < 2
  OR earlier_runs > 20
  OR (confidence = 'high') <> (earlier_runs >= 8)
  OR NOT (coalesce(duration_ratio, 0) >= 1.49 OR coalesce(cost_ratio, 0) >= 1.49)
  OR duration_ratio_low > duration_ratio_high + 0.01
  OR cost_ratio_low > cost_ratio_high + 0.01
