"""The platform's endpoints as methods, and the page walk."""

from tower_etl.api.client import Found, TowerClient, Where, format_moment
from tower_etl.api.pages import Item, Page, Walked, walk_growing, walk_newest_first

__all__ = [
    "Found",
    "Item",
    "Page",
    "TowerClient",
    "Walked",
    "Where",
    "format_moment",
    "walk_growing",
    "walk_newest_first",
]
