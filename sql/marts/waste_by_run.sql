-- Grain: run, currency and source of cost. Units: USD.
WITH summed AS (
  SELECT
    run_id,
    currency,
    cost_source,
    round(sum(cost_usd), 6) AS cost_usd,
    round(sum(retried_usd), 6) AS retried_usd,
    round(sum(lost_usd), 6) AS lost_usd,
    round(sum(staging_usd), 6) AS staging_usd,
    round(sum(escalated_usd), 6) AS escalated_usd,
    round(sum(over_requested_usd), 6) AS over_requested_usd
  FROM stg_task_waste
  GROUP BY run_id, currency, cost_source
)

SELECT
  r.run_id,
  r.run_name,
  r.pipeline,
  r.revision,
  r.user_name,
  r.workspace,
  r.status,
  r.submitted_at,
  coalesce(s.currency, 'USD') AS currency,
  coalesce(s.cost_source, 'platform') AS cost_source,
  s.cost_usd,
  s.retried_usd,
  s.lost_usd,
  s.staging_usd,
  s.escalated_usd,
  s.over_requested_usd,
  round(
    s.cost_usd - s.retried_usd - s.lost_usd - s.staging_usd - s.escalated_usd
      - s.over_requested_usd, 6
  ) AS useful_usd
FROM stg_runs AS r
LEFT JOIN summed AS s ON s.run_id = r.run_id
ORDER BY r.submitted_at DESC NULLS LAST, r.run_id
