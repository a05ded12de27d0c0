-- Grain: user. Units: USD.
SELECT
  user_name,
  'USD' AS currency,
  CASE WHEN count(bill_usd) > 0 THEN 'bill' ELSE min(cost_source) END AS cost_source,
  count(*) AS runs,
  count(bill_usd) AS billed_runs,
  round(sum(CASE WHEN bill_usd IS NOT NULL THEN platform_usd END), 6) AS platform_usd,
  round(sum(used_usd), 6) AS used_usd,
  round(sum(unused_usd), 6) AS unused_usd,
  round(sum(bill_usd), 6) AS bill_usd,
  round(
    sum(bill_usd) / nullif(sum(CASE WHEN bill_usd IS NOT NULL THEN platform_usd END), 0), 4
  ) AS ratio
FROM bill_by_run
GROUP BY user_name
ORDER BY bill_usd DESC NULLS LAST, user_name
