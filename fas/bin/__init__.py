"""Command lines, one a step: python -m fas.bin.extract, train, score, report, data."""
