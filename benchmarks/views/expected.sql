-- The expected rows, in the form in which candidates are compared. Times are epoch seconds, costs USD.
CREATE VIEW workflows AS
SELECT
  id AS workflow_id, status, runName AS run_name, epoch(complete::TIMESTAMP)::BIGINT AS complete_s,
  epoch(lastUpdated::TIMESTAMP)::BIGINT AS updated_s, duration::DOUBLE AS duration_ms,
  exitStatus::DOUBLE AS exit_status
FROM raw_workflows;

CREATE VIEW tasks AS
SELECT
  workflowId AS workflow_id, taskId AS task_id, status, name,
  epoch(complete::TIMESTAMP)::BIGINT AS complete_s,
  epoch(lastUpdated::TIMESTAMP)::BIGINT AS updated_s, realtime::DOUBLE AS realtime_ms, cost,
  peakRss::DOUBLE AS peak_rss, exitStatus::DOUBLE AS exit_status
FROM raw_tasks;

CREATE VIEW process_metrics AS
SELECT workflowId AS workflow_id, process, metric, mean, q2, max FROM raw_metrics;

CREATE VIEW workflow_progress AS
SELECT
  workflowId AS workflow_id, succeeded::DOUBLE AS succeeded, failed::DOUBLE AS failed,
  running::DOUBLE AS running, cost
FROM raw_progress;

CREATE VIEW process_progress AS
SELECT
  workflowId AS workflow_id, process, succeeded::DOUBLE AS succeeded, failed::DOUBLE AS failed,
  running::DOUBLE AS running
FROM raw_processes;

CREATE VIEW workflow_labels AS
SELECT workflowId AS workflow_id, id AS label_id FROM raw_labels;
