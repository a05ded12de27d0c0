"""Log lines of the command line: one per request at DEBUG, per workspace and load package at INFO.

Modules write to `logging.getLogger(__name__)`, as libraries do. Programs that import `tower_etl`
configure logging themselves.
"""

from __future__ import annotations

import logging
import sys

from tower_etl.redaction import redact_text

LEVELS = ("debug", "info", "warning", "error")


class _RedactingFormatter(logging.Formatter):
    """Formatter that masks secrets, as a safeguard: no module logs one on purpose."""

    def format(self, record: logging.LogRecord) -> str:
        return redact_text(super().format(record))


def configure_logging(level: str) -> None:
    """Write the lines of `tower_etl` of this level and above to standard error."""
    logger = logging.getLogger("tower_etl")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())


def show_info() -> None:
    """Write lines at INFO too, unless a lower level is configured already."""
    logger = logging.getLogger("tower_etl")
    if logger.level > logging.INFO:
        logger.setLevel(logging.INFO)
