"""What a destination of dlt can do, worked out once.

dlt asks sixty times a package, and resolves its whole configuration for each answer: an eighth of
the processor time of a sync with nothing new.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlt.common.destination import DestinationCapabilitiesContext
    from dlt.common.normalizers.naming import NamingConvention

    Ask = Callable[..., DestinationCapabilitiesContext]


def cache_capabilities(ask: Ask) -> Ask:
    """The method `capabilities` of a destination whose configuration stays what it is.

    Who asks gets a copy, since dlt adapts some of what it gets.
    """

    @wraps(ask)
    def capabilities(
        self: Any,  # noqa: ANN401 a destination of any kind
        config: Any = None,  # noqa: ANN401 likewise
        naming: NamingConvention | None = None,
    ) -> DestinationCapabilitiesContext:
        known = self.__dict__.setdefault("_known_capabilities", {})
        key = config is None, type(naming), naming.max_length if naming else None
        if key not in known:
            known[key] = ask(self, config, naming)
        copied: DestinationCapabilitiesContext = known[key].copy()
        return copied

    return capabilities
