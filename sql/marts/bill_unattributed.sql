-- Grain: billing period, account, service, machine type, kind of charge, currency and reason.
-- Units: the currency of the row.
SELECT
  billing_period,
  provider,
  billing_account,
  account,
  service,
  machine_type,
  charge_type,
  reason,
  currency,
  count(*) AS lines,
  round(sum(cost), 6) AS cost
FROM stg_bill_shares
WHERE run_id IS NULL
GROUP BY billing_period, provider, billing_account, account, service, machine_type, charge_type,
  reason, currency
ORDER BY sum(cost) DESC, billing_period, provider, billing_account, account, service, machine_type,
  charge_type, reason, currency
