"""Queries of the documentation, whose results come from the real runs and their bill."""

EXAMPLES = {
    "bills": "SELECT run_id, platform_usd, used_usd, unused_usd, bill_usd, ratio, coverage, method "
    "FROM bill_by_run WHERE bill_usd IS NOT NULL",
    "unattributed": "SELECT billing_period, service, reason, lines, cost, currency "
    "FROM bill_unattributed",
    "processes": "SELECT process, tasks, platform_usd, bill_usd, ratio FROM bill_by_process "
    "LIMIT 3",
    "samples": "SELECT sample, tasks, direct_usd, cost_usd, bill_usd FROM cost_by_sample "
    "WHERE run_id = 'wELtvsveirfd9'",
    "compare": "SELECT r.run_id, r.pipeline, b.platform_usd, b.bill_usd FROM bill_by_run AS b "
    "INNER JOIN stg_runs AS r ON r.run_id = b.run_id WHERE b.bill_usd IS NOT NULL "
    "ORDER BY b.platform_usd DESC",
    "prices": "SELECT t.machine_type, count(*) AS tasks, "
    "round(sum(t.cost_usd), 4) AS platform_usd, round(sum(p.cost), 4) AS list_usd "
    "FROM stg_tasks AS t "
    "INNER JOIN stg_list_prices AS p ON p.run_id = t.run_id AND p.task_id = t.task_id "
    "WHERE NOT t.cached GROUP BY t.machine_type ORDER BY t.machine_type",
    "energy": "SELECT run_id, tasks, kwh_low, kwh_high, carbon_kg_low, carbon_kg_high "
    "FROM energy_by_run",
}
"""SQL by the name of the example."""

PAGES = {
    "bills": ("bills", "unattributed", "processes"),
    "projects-and-samples": ("samples",),
    "compare": ("compare",),
    "price-lists": ("prices",),
    "energy": ("energy",),
}
"""Examples of each page of `docs/`."""

PRICES = """\
machine_type,cpu_hour,gib_hour,currency,clock,combine
g5.24xlarge,0.084833333,0.021208333,USD,ran,max
g5.12xlarge,0.118166667,0.029541667,USD,ran,max
c6id.xlarge,0.0504,0.0252,USD,ran,max
"""
"""List prices of AWS in Virginia, per vCPU and GiB."""
