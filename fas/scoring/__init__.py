"""Predictions on sets, their figures, the analysis of many seeds and of conflicts; nothing here draws a page."""
