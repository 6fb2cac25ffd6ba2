"""Launchers and schedulers of jobs; what a job does is none of their business."""
