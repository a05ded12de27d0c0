-- Grain: process, exit code, currency and source of cost. Units: USD.
SELECT
  process,
  exit_code,
  currency,
  cost_source,
  CASE exit_code
    WHEN 'none' THEN 'it never reported an exit code'
    WHEN '0' THEN 'the command ended well, but outputs were missing'
    WHEN '1' THEN 'the command failed'
    WHEN '2' THEN 'the command failed, often for wrong usage'
    WHEN '104' THEN 'a network connection was reset'
    WHEN '126' THEN 'the command could not be executed'
    WHEN '127' THEN 'the command was not found'
    WHEN '130' THEN 'interrupted from the keyboard or by the scheduler'
    WHEN '134' THEN 'the program aborted itself, often for want of memory'
    WHEN '135' THEN 'a bus error, often a file system that failed'
    WHEN '136' THEN 'an arithmetic error'
    WHEN '137' THEN 'killed: out of memory, or its node was taken away'
    WHEN '139' THEN 'a segmentation fault'
    WHEN '140' THEN 'ended by the scheduler: time or memory limit'
    WHEN '141' THEN 'a pipe that nobody read any more'
    WHEN '143' THEN 'terminated: time limit, or its node was taken away'
    WHEN '247' THEN 'killed, often for want of memory'
    WHEN '255' THEN 'the command or its connection failed'
    WHEN '50001' THEN 'its spot machine was taken away (Google Batch)'
    WHEN '50002' THEN 'its machine was not heard of any more (Google Batch)'
    WHEN '50005' THEN 'it ran into its time limit (Google Batch)'
    WHEN '2147483647' THEN 'its node was taken away before it could report'
    ELSE 'the command ended with this code'
  END AS meaning,
  count(*) AS failed_tasks,
  count(CASE WHEN error_action = 'RETRY' THEN 1 END) AS retried_tasks,
  count(CASE WHEN spot_lost THEN 1 END) AS spot_lost_tasks,
  count(DISTINCT run_id) AS runs,
  round(sum(cost_usd), 6) AS cost_usd
FROM stg_tasks
WHERE status = 'FAILED'
GROUP BY process, exit_code, currency, cost_source
ORDER BY failed_tasks DESC, process, exit_code
