"""The routing proxy that runs in every routing pod."""

from pathlib import Path

from stormc_proxy.mounted import find_mounted

find_mounted(__name__, Path(__file__).parent)
