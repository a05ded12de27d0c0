"""Run history of Seqera Platform in tables."""
