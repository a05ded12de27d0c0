-- A recommendation is not above the requested or used CPUs; a saving is within its bounds and the cost.
SELECT process
FROM cpu_efficiency
WHERE efficiency < 0 OR idle_cpu_hours < 0 OR recommended_cpus < 1
  OR lowest_requested_cpus > requested_cpus
  OR saves_at_least_usd < 0
  OR saves_at_least_usd > saves_at_most_usd + 0.000002
  OR saves_estimate_usd > saves_at_most_usd + 0.000002
  OR saves_at_most_usd > cost_usd + 0.000002
