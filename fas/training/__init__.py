"""Patches and batches, training, and its processes; what a trained model says of a set is scoring."""
