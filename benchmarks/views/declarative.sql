-- The rows of dlt's declarative source: metrics are wide, and lists are child tables.
CREATE VIEW their_workflows AS
SELECT
  id AS workflow_id, status, run_name, epoch(complete)::BIGINT AS complete_s,
  epoch(last_updated)::BIGINT AS updated_s, duration::DOUBLE AS duration_ms,
  exit_status::DOUBLE AS exit_status
FROM theirs.tower.workflows;

CREATE VIEW their_tasks AS
SELECT
  _workflows_id AS workflow_id, task_id, status, name, epoch(complete)::BIGINT AS complete_s,
  epoch(last_updated)::BIGINT AS updated_s, realtime::DOUBLE AS realtime_ms, cost,
  peak_rss::DOUBLE AS peak_rss, exit_status::DOUBLE AS exit_status
FROM theirs.tower.tasks;

CREATE VIEW their_process_metrics AS
SELECT _workflows_id AS workflow_id, process, 'time' AS metric, time__mean AS mean, time__q2 AS q2,
  time__max AS max
FROM theirs.tower.metrics WHERE time__mean IS NOT NULL
UNION ALL
SELECT _workflows_id, process, 'mem', mem__mean, mem__q2, mem__max
FROM theirs.tower.metrics WHERE mem__mean IS NOT NULL
UNION ALL
SELECT _workflows_id, process, 'cpu_usage', cpu_usage__mean, cpu_usage__q2, cpu_usage__max
FROM theirs.tower.metrics WHERE cpu_usage__mean IS NOT NULL;

CREATE VIEW their_workflow_progress AS
SELECT
  _workflows_id AS workflow_id, progress__workflow_progress__succeeded::DOUBLE AS succeeded,
  progress__workflow_progress__failed::DOUBLE AS failed,
  progress__workflow_progress__running::DOUBLE AS running,
  progress__workflow_progress__cost AS cost
FROM theirs.tower.descriptions
WHERE progress__workflow_progress__succeeded IS NOT NULL;

CREATE VIEW their_process_progress AS
SELECT
  parent._workflows_id AS workflow_id, child.process, child.succeeded::DOUBLE AS succeeded,
  child.failed::DOUBLE AS failed, child.running::DOUBLE AS running
FROM theirs.tower.descriptions__progress__processes_progress AS child
JOIN theirs.tower.descriptions AS parent ON parent._dlt_id = child._dlt_root_id;

CREATE VIEW their_workflow_labels AS
SELECT parent._workflows_id AS workflow_id, child.id AS label_id
FROM theirs.tower.descriptions__labels AS child
JOIN theirs.tower.descriptions AS parent ON parent._dlt_id = child._dlt_root_id;
