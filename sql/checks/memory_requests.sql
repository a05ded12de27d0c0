-- No average is above the most, nothing is recommended below what was used of it at the most
-- common, and no more is saved than was spent.
SELECT process
FROM memory_requests
WHERE used_gib > most_used_gib
  OR requested_over_used <= 0
  OR recommended_gib < 1
  OR recommended_gib > ceil(most_used_gib * 1.25) + ceil(requested_gib)
  OR saves_gib_hours < 0
  OR saves_usd < 0
