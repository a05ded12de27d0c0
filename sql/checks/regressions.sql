-- Every listed process took or cost at least 50 % more, and has a history and a confidence.
SELECT run_id, process
FROM regressions
WHERE earlier_runs < 2
  OR earlier_runs > 20
  OR (confidence = 'high') <> (earlier_runs >= 8)
  OR NOT (coalesce(duration_ratio, 0) >= 1.49 OR coalesce(cost_ratio, 0) >= 1.49)
  OR duration_ratio_low > duration_ratio_high + 0.01
  OR cost_ratio_low > cost_ratio_high + 0.01
