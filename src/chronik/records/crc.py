"""CRC-32C, as record batches and this node's own files have it."""

import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from importlib.util import module_from_spec


def _load() -> Callable[..., int]:
    """Returns the function of the package `crc32c`, from the extension module in it.

    The package itself reads its own version when it is imported, and has a command line: that imports
    zipfile, email, argparse and some forty more, which are a tenth of the time of a node's start and 2 MB.
    """
    package = None if "crc32c" in sys.modules else PathFinder.find_spec("crc32c")
    if package is not None and package.submodule_search_locations is not None:
        spec = PathFinder.find_spec("crc32c._crc32c", package.submodule_search_locations)
        if spec is not None and spec.loader is not None:
            extension = module_from_spec(spec)
            spec.loader.exec_module(extension)
            function: Callable[..., int] = extension.crc32c
            return function
    # Packed otherwise, or imported already.
    from crc32c import crc32c

    return crc32c


crc32c = _load()
