-- The bills of all users add up to the bills of all runs.
SELECT u.bill_usd, r.bill_usd AS of_runs
FROM (SELECT coalesce(sum(bill_usd), 0) AS bill_usd, count(*) AS n FROM bill_by_user) AS u
CROSS JOIN (SELECT coalesce(sum(bill_usd), 0) AS bill_usd FROM bill_by_run) AS r
WHERE abs(u.bill_usd - r.bill_usd) > 0.000001 * (u.n + 1)
