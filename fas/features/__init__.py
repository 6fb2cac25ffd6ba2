"""Frames on disk: arks, append-only parts, and the jobs of an encoder run and merged; no encoder itself."""
