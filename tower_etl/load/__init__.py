"""Targets, the sync itself, the lock and the views."""
