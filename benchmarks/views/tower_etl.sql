-- The rows of `tower-etl sync`.
CREATE VIEW their_workflows AS
SELECT
  id AS workflow_id, status, run_name, epoch(complete)::BIGINT AS complete_s,
  epoch(last_updated)::BIGINT AS updated_s, duration::DOUBLE AS duration_ms,
  exit_status::DOUBLE AS exit_status
FROM theirs.tower.workflows;

CREATE VIEW their_tasks AS
SELECT
  workflow_id, task_id, status, name, epoch(complete)::BIGINT AS complete_s,
  epoch(last_updated)::BIGINT AS updated_s, realtime::DOUBLE AS realtime_ms, cost,
  peak_rss::DOUBLE AS peak_rss, exit_status::DOUBLE AS exit_status
FROM theirs.tower.tasks;

CREATE VIEW their_process_metrics AS
SELECT workflow_id, process, metric, mean, q2, max
FROM theirs.tower.process_metrics
WHERE metric IN ('time', 'mem', 'cpu_usage');

CREATE VIEW their_workflow_progress AS
SELECT
  workflow_id, succeeded::DOUBLE AS succeeded, failed::DOUBLE AS failed,
  running::DOUBLE AS running, cost
FROM theirs.tower.workflow_progress;

CREATE VIEW their_process_progress AS
SELECT
  workflow_id, process, succeeded::DOUBLE AS succeeded, failed::DOUBLE AS failed,
  running::DOUBLE AS running
FROM theirs.tower.process_progress;

CREATE VIEW their_workflow_labels AS
SELECT workflow_id, label_id FROM theirs.tower.workflow_labels;
