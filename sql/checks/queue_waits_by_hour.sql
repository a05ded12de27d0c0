-- Every wait of `queue_waits` is in one hour of one weekday.
SELECT listed.tasks, waited.tasks AS waited_tasks
FROM (SELECT coalesce(sum(tasks), 0) AS tasks FROM queue_waits_by_hour) AS listed
CROSS JOIN (SELECT coalesce(sum(tasks), 0) AS tasks FROM queue_waits) AS waited
WHERE listed.tasks <> waited.tasks
UNION ALL
SELECT weekday, hour_of_day
FROM queue_waits_by_hour
WHERE weekday NOT BETWEEN 1 AND 7 OR hour_of_day NOT BETWEEN 0 AND 23
