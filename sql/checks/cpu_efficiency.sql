-- Efficiency is CPU used of that requested, and nobody idles more than was requested.
SELECT process
FROM cpu_efficiency
WHERE abs(efficiency - used_cpus / requested_cpus) > 0.02 + 0.02 * efficiency
  OR efficiency < 0 OR idle_cpu_hours < 0 OR idle_usd < 0
