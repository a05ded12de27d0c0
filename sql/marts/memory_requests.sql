-- Which processes ask for more memory than they use. Grain: process. Units: GiB, ratio.
SELECT
  process,
  count(*) AS tasks,
  round(avg(memory) / 1073741824.0, 2) AS requested_gib,
  round(avg(peak_rss) / 1073741824.0, 2) AS used_gib,
  round(max(peak_rss) / 1073741824.0, 2) AS most_used_gib,
  round(sum(memory) / nullif(sum(peak_rss), 0), 1) AS requested_over_used
FROM tasks
WHERE status = 'COMPLETED' AND memory > 0 AND peak_rss > 0
GROUP BY process
ORDER BY sum(memory - peak_rss) DESC, process
