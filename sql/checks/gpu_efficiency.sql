-- Use is between 0 and 100 %, and the idle cost does not exceed the cost.
SELECT process
FROM gpu_efficiency
WHERE gpu_percent < 0 OR gpu_percent > 100 OR measured_tasks > tasks
  OR idle_usd < 0 OR idle_usd > cost_usd + 0.001
