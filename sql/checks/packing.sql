-- Used and unused cost add up to the bill, and all split lines are counted.
SELECT p.bill_usd, p.parts_usd, s.cost
FROM (
  SELECT
    coalesce(sum(bill_usd), 0) AS bill_usd,
    coalesce(sum(used_usd + unused_usd), 0) AS parts_usd,
    count(*) AS n
  FROM packing
) AS p
CROSS JOIN (
  SELECT coalesce(sum(cost), 0) AS cost
  FROM stg_bill_lines
  WHERE is_split AND currency = 'USD'
) AS s
WHERE abs(p.bill_usd - p.parts_usd) > 0.000003 * (p.n + 1)
  OR abs(p.bill_usd - s.cost) > 0.000001 * (p.n + 1)
