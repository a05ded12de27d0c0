-- Grain: label, currency and source of cost. Units: USD, hours.
WITH counted AS (
  SELECT run_id, count(*) AS labels
  FROM stg_run_labels
  GROUP BY run_id
),

labelled AS (
  SELECT
    coalesce(l.label, '(none)') AS label,
    s.currency,
    s.cost_source,
    s.cpu_hours,
    s.compute_cpu_hours,
    s.cost_usd,
    s.cost_usd / coalesce(c.labels, 1) AS share_usd
  FROM stg_run_spend AS s
  LEFT JOIN counted AS c ON c.run_id = s.run_id
  LEFT JOIN stg_run_labels AS l ON l.run_id = s.run_id
)

SELECT
  label,
  currency,
  cost_source,
  count(*) AS runs,
  round(sum(cpu_hours), 2) AS cpu_hours,
  round(sum(compute_cpu_hours), 2) AS compute_cpu_hours,
  round(sum(cost_usd), 6) AS cost_usd,
  round(sum(share_usd), 6) AS share_usd
FROM labelled
GROUP BY label, currency, cost_source
ORDER BY cost_usd DESC NULLS LAST, label
