-- A ratio is inside its interval, and a rate is between 0 and 1.
SELECT pipeline, revision
FROM release_changes
WHERE duration_ratio < duration_ratio_low - 0.0001 OR duration_ratio > duration_ratio_high + 0.0001
  OR cost_ratio < cost_ratio_low - 0.0001 OR cost_ratio > cost_ratio_high + 0.0001
  OR cpu_hours_ratio < cpu_hours_ratio_low - 0.0001
  OR cpu_hours_ratio > cpu_hours_ratio_high + 0.0001
  OR failure_rate < 0 OR failure_rate > 1
  OR failure_rate_change < failure_rate_change_low - 0.0001
  OR failure_rate_change > failure_rate_change_high + 0.0001
  OR previous_revision = revision
