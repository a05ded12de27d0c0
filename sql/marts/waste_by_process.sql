-- Grain: process, currency and source of cost. Units: USD.
WITH summed AS (
  SELECT
    process,
    currency,
    cost_source,
    count(*) AS tasks,
    count(DISTINCT run_id) AS runs,
    round(sum(cost_usd), 6) AS cost_usd,
    round(sum(retried_usd), 6) AS retried_usd,
    round(sum(lost_usd), 6) AS lost_usd,
    round(sum(staging_usd), 6) AS staging_usd,
    round(sum(escalated_usd), 6) AS escalated_usd,
    round(sum(over_requested_usd), 6) AS over_requested_usd
  FROM stg_task_waste
  GROUP BY process, currency, cost_source
)

SELECT
  process,
  currency,
  cost_source,
  tasks,
  runs,
  cost_usd,
  retried_usd,
  lost_usd,
  staging_usd,
  escalated_usd,
  over_requested_usd,
  round(
    cost_usd - retried_usd - lost_usd - staging_usd - escalated_usd - over_requested_usd, 6
  ) AS useful_usd
FROM summed
ORDER BY cost_usd DESC NULLS LAST, process
