"""Destinations of the tables: DuckDB files, PostgreSQL and lakes."""
