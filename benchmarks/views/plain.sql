-- The rows of the plain script, which has no table of label links and no table of processes.
CREATE VIEW their_workflows AS
SELECT
  id AS workflow_id, status, runName AS run_name, epoch(complete::TIMESTAMP)::BIGINT AS complete_s,
  epoch(lastUpdated::TIMESTAMP)::BIGINT AS updated_s, duration::DOUBLE AS duration_ms,
  exitStatus::DOUBLE AS exit_status
FROM theirs.workflows;

CREATE VIEW their_tasks AS
SELECT
  workflowId AS workflow_id, taskId AS task_id, status, name,
  epoch(complete::TIMESTAMP)::BIGINT AS complete_s,
  epoch(lastUpdated::TIMESTAMP)::BIGINT AS updated_s, realtime::DOUBLE AS realtime_ms, cost,
  peakRss::DOUBLE AS peak_rss, exitStatus::DOUBLE AS exit_status
FROM theirs.tasks;

CREATE VIEW their_process_metrics AS
SELECT workflowId AS workflow_id, process, 'time' AS metric, time_mean AS mean, time_q2 AS q2,
  time_max AS max
FROM theirs.metrics WHERE time_mean IS NOT NULL
UNION ALL
SELECT workflowId, process, 'mem', mem_mean, mem_q2, mem_max
FROM theirs.metrics WHERE mem_mean IS NOT NULL
UNION ALL
SELECT workflowId, process, 'cpu_usage', cpuUsage_mean, cpuUsage_q2, cpuUsage_max
FROM theirs.metrics WHERE cpuUsage_mean IS NOT NULL;

CREATE VIEW their_workflow_progress AS
SELECT
  workflowId AS workflow_id, succeeded::DOUBLE AS succeeded, failed::DOUBLE AS failed,
  running::DOUBLE AS running, cost
FROM theirs.progress;
