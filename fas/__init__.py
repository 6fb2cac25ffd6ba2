"""FAS: fusion of acoustic and semantic streams for speech emotion recognition (arXiv 2601.04564)."""
