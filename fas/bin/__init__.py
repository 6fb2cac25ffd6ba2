"""Command lines, python -m fas.bin.NAME or fas NAME: arguments and one call of a room; nothing imports them."""
