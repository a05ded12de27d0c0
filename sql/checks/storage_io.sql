-- All bytes read and written are counted once, in one process.
SELECT listed.gib, moved.gib AS moved_gib
FROM (
  SELECT coalesce(sum(read_gib + written_gib), 0) AS gib, count(*) AS processes
  FROM storage_io
) AS listed
CROSS JOIN (
  SELECT coalesce(sum(coalesce(rchar, 0) + coalesce(wchar, 0)), 0) / 1073741824.0 AS gib
  FROM tasks
  WHERE status IS DISTINCT FROM 'CACHED'
) AS moved
WHERE abs(listed.gib - moved.gib) > 0.001 * (1 + listed.processes)
