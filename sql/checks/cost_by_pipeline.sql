-- Every task that was paid for is in exactly one pipeline.
SELECT spent.cost_usd, listed.cost_usd AS listed_usd
FROM (SELECT round(sum(cost), 2) AS cost_usd FROM tasks WHERE status <> 'CACHED') AS spent
CROSS JOIN (SELECT round(sum(cost_usd), 2) AS cost_usd FROM cost_by_pipeline) AS listed
WHERE abs(spent.cost_usd - listed.cost_usd) > 0.01 * (SELECT count(*) FROM cost_by_pipeline)
