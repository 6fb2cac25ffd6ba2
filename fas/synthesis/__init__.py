"""Conflict sets: lines that carry one emotion, spoken in another, after CASE's recipe (arXiv 2601.04564).

lines.py reads and checks the lines, plan.py says which voice speaks which of them in which emotion, job.py how,
prosody.py and command.py speak, make.py does it all so that it can be stopped at any time, journal.py keeps what is
spoken. local/conflict_set.py is the program.
"""
