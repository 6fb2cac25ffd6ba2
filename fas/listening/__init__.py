"""People who listen and speak: the pages where they label utterances or read lines aloud, and what their labels say.

store.py keeps answers, server.py asks for them, record.py takes recordings, agree.py turns answers into labels.
"""
