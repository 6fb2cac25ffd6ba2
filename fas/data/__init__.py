"""Data directories, audio, what is known of corpora, splits and folds, eSpeak: what is there before an encoder runs."""
