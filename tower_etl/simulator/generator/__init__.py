"""Generated worlds: accounts, reference data and years of runs from one seed."""
