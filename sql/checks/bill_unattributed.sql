-- Every unattributed line has a reason, and no line of a known run is unattributed.
SELECT u.reason, u.cost
FROM bill_unattributed AS u
WHERE u.reason IS NULL
UNION ALL
SELECT 'counts' AS reason, abs(listed.lines - held.lines) AS cost
FROM (
  SELECT coalesce(sum(lines), 0) AS lines FROM bill_unattributed WHERE reason = 'unknown run'
) AS listed
CROSS JOIN (
  SELECT count(*) AS lines
  FROM stg_bill_lines
  WHERE run_tag IS NOT NULL AND run_id IS NULL AND currency = 'USD'
) AS held
WHERE listed.lines <> held.lines
