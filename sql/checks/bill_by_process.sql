-- Bill and estimate of all processes equal those of all runs with a bill; used and unused cost add up.
SELECT p.bill_usd, r.bill_usd AS of_runs, p.platform_usd, r.platform_usd AS estimated
FROM (
  SELECT
    coalesce(sum(bill_usd), 0) AS bill_usd,
    coalesce(sum(platform_usd), 0) AS platform_usd,
    coalesce(sum(used_usd + unused_usd), 0) AS parts_usd,
    count(*) AS n
  FROM bill_by_process
) AS p
CROSS JOIN (
  SELECT
    coalesce(sum(bill_usd), 0) AS bill_usd,
    coalesce(sum(platform_usd), 0) AS platform_usd,
    count(*) AS n
  FROM bill_by_run
  WHERE bill_usd IS NOT NULL
) AS r
WHERE abs(p.bill_usd - r.bill_usd) > 0.000001 * (p.n + r.n)
  OR abs(p.platform_usd - r.platform_usd) > 0.000001 * (p.n + r.n)
  OR abs(p.bill_usd - p.parts_usd) > 0.000003 * (p.n + r.n)
