-- Attributed and unattributed costs add up to all bill lines that count.
WITH listed AS (
  SELECT
    (SELECT coalesce(sum(bill_usd), 0) FROM bill_by_run) AS attributed,
    (SELECT coalesce(sum(cost), 0) FROM bill_unattributed WHERE currency = 'USD') AS unattributed,
    (SELECT count(*) FROM bill_by_run) + (SELECT count(*) FROM bill_unattributed) AS rounded
),

billed AS (
  SELECT coalesce(sum(cost), 0) AS cost
  FROM stg_bill_lines
  WHERE currency = 'USD'
)

SELECT l.attributed, l.unattributed, b.cost
FROM listed AS l
CROSS JOIN billed AS b
WHERE abs(l.attributed + l.unattributed - b.cost) > 0.000001 * (l.rounded + 1)
