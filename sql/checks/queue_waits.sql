-- The median is not above the 95th percentile, which is not above the longest wait.
SELECT executor, queue
FROM queue_waits
WHERE median_minutes > p95_minutes OR p95_minutes > longest_minutes OR median_minutes < 0
