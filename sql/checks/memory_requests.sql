-- No average is above the most, nothing is recommended beyond what was used or asked for, and no
-- more is saved than was spent.
SELECT m.process
FROM memory_requests AS m
INNER JOIN cost_by_process AS c ON c.process = m.process
WHERE m.used_gib > m.most_used_gib
  OR m.requested_over_used <= 0
  OR m.recommended_gib < 1
  OR m.recommended_gib > ceil(m.most_used_gib * 1.25) + ceil(m.requested_gib)
  OR m.saves_gib_hours < 0
  OR m.saves_usd < 0
  OR m.saves_usd > c.cost_usd + 0.001
