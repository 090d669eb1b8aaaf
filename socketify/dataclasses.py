"""An import path of the published package. Import these from :mod:`socketify`."""

from .core.options import AppListenOptions, AppOptions

__all__ = ["AppListenOptions", "AppOptions"]
