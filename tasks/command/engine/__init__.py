"""Stages and commands as doit tasks: the only room that imports doit.

doit decides order and runs; our records decide freshness. `dodo` is what a dodo.py gets of us, `graph` the tasks of one
command line, `action` what doit runs of them, `dependency` what doit is told when it asks how they stand, `words` how
doit splits what is for itself.
"""
