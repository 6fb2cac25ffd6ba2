"""glibc's heap: what has been freed goes back to the system; by itself it keeps half a GB behind Whisper base."""

import ctypes

ARENAS = -8  # M_ARENA_MAX (malloc.h)
_libc = ctypes.CDLL(None)


def share() -> None:
    """One heap for all threads; each would keep what it has freed for itself."""
    if hasattr(_libc, "mallopt"):
        _libc.mallopt(ARENAS, 1)


def trim() -> None:
    """Give back what is free."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)
