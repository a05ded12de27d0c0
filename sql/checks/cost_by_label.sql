-- The shares add up to the total cost, and no label costs less than its share.
SELECT listed.share_usd, spent.cost_usd
FROM (SELECT coalesce(sum(share_usd), 0) AS share_usd FROM cost_by_label) AS listed
CROSS JOIN (SELECT coalesce(sum(cost_usd), 0) AS cost_usd FROM cost_by_pipeline) AS spent
WHERE abs(listed.share_usd - spent.cost_usd) > 0.001
UNION ALL
SELECT share_usd, cost_usd
FROM cost_by_label
WHERE share_usd > cost_usd + 0.001
