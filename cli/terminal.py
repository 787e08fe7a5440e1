"""The terminal, on which words stand as they were written: what people typed is no markup, and colours come apart."""

from __future__ import annotations

from rich.console import Console


def terminal(*, errors: bool = False, unbroken: bool = False) -> Console:
    """Standard output, or that for errors; `unbroken` leaves lines as long as they are, to be copied.

    By rich's own markup a reason such as "see [/ticket 12]" could not be shown, and a segment [b2b] would vanish.
    """
    return Console(stderr=errors, markup=False, emoji=False, highlight=not unbroken, soft_wrap=unbroken)
