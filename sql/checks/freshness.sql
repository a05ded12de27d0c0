-- Every run is counted in one workspace, and every deleted run as missing.
SELECT listed.runs, listed.missing_runs, held.runs AS held_runs, held.missing_runs AS held_missing
FROM (
  SELECT
    coalesce(sum(runs), 0) AS runs,
    coalesce(sum(missing_runs), 0) AS missing_runs
  FROM freshness
) AS listed
CROSS JOIN (
  SELECT count(*) AS runs, count(missing_since) AS missing_runs
  FROM workflows
) AS held
WHERE listed.runs <> held.runs OR listed.missing_runs <> held.missing_runs
