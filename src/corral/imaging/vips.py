"""The image library, set up once; every module of this room takes `pyvips` from here.

One thread a pipeline, because the processes of the pool are what fills the cores; no operation cache,
because no two jobs share a picture and the cache would keep their pixels; and every loader that its
authors call unfit for untrusted input (SVG, CSV, TIFF variants, …) refused by the library itself.
"""

from __future__ import annotations

import pyvips

pyvips.concurrency_set(1)
pyvips.cache_set_max(0)
pyvips.block_untrusted_set(True)

__all__ = ["pyvips"]
