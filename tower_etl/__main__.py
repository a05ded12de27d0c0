"""Entry point of `python -m tower_etl`, the same command as `tower-etl`."""

from tower_etl.cli import main

main()
