"""`python -m tower_etl` is the command `tower-etl`."""

from tower_etl.cli import main

main()
