"""Where the icons, the style sheet and its colours are: in the installed package or in the checkout."""

from __future__ import annotations

from pathlib import Path

from twinhull_client.gui.errors import AssetsMissing

_PACKAGE = Path(__file__).resolve().parents[1]


def asset(name: str) -> Path:
    """The path of an asset. Raises AssetsMissing when there is none of that name."""
    for folder in (_PACKAGE / "assets", _PACKAGE.parents[1] / "assets"):
        if (folder / name).is_file():
            return folder / name
    raise AssetsMissing
