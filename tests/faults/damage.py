"""What may happen to a file that lies on a disk."""

from __future__ import annotations

from pathlib import Path


def flip_a_byte(path: Path) -> None:
    """Changes one byte in the middle; the file stays as long as it was."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    """Loses the file's last bytes."""
    path.write_bytes(path.read_bytes()[:-9])
