"""Colors of pipelines, computed from the name alone so that they are the same in every report.

Two names can have similar colors. In a chart, the later of the two is hatched instead of recolored.
The lightness gives every color a contrast of 3:1 on both the light and the dark page.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LIGHTNESS = (0.55, 0.63)  # in OKLCH
_SPREAD = 0.02
_CHROMA = 0.11
_ALIKE = 0.06  # distance in OKLab
_REST = "#a3a6ab"
_LINEAR = 0.0031308

# OKLab to linear sRGB (Ottosson, 2020)
_TO_CONES = (
    (1.0, 0.3963377774, 0.2158037573),
    (1.0, -0.1055613458, -0.0638541728),
    (1.0, -0.0894841775, -1.2914855480),
)
_TO_RGB = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)


@dataclass(frozen=True)
class Paint:
    """Fill of a series.

    Attributes:
        color: Color as #rrggbb.
        hatched: Whether the color is similar to that of an earlier series.
    """

    color: str
    hatched: bool = False


def paint_names(names: Sequence[str], rest: str) -> tuple[Paint, ...]:
    """Return the fill of each name; the series `rest`, which sums up all others, is grey."""
    paints: list[Paint] = []
    earlier: list[tuple[float, float, float]] = []
    for name in names:
        if name == rest:
            paints.append(Paint(_REST))
            continue
        lab = _name_to_lab(name)
        alike = any(math.dist(lab, other) < _ALIKE for other in earlier)
        earlier.append(lab)
        paints.append(Paint(_lab_to_hex(lab), alike))
    return tuple(paints)


def _name_to_lab(name: str) -> tuple[float, float, float]:
    """Return the color of a name in OKLab."""
    digest = sha256(name.encode(errors="surrogatepass")).digest()
    hue = int.from_bytes(digest[:4]) / 2**32 * math.tau
    lightness = _LIGHTNESS[digest[4] % 2] + _SPREAD * digest[5] / 255
    return lightness, _CHROMA * math.cos(hue), _CHROMA * math.sin(hue)


def _lab_to_hex(lab: tuple[float, float, float]) -> str:
    cones = [sum(map(_times, row, lab)) ** 3 for row in _TO_CONES]
    linear = (min(max(sum(map(_times, row, cones)), 0.0), 1.0) for row in _TO_RGB)
    return "#" + "".join(f"{round(_gamma(channel) * 255):02x}" for channel in linear)


def _times(one: float, other: float) -> float:
    return one * other


def _gamma(channel: float) -> float:
    return 12.92 * channel if channel <= _LINEAR else 1.055 * channel ** (1 / 2.4) - 0.055
