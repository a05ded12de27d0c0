"""Targets, the sync itself, the lock and the views. Names are imported where they are used."""
