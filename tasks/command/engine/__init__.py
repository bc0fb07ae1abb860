"""Stages and commands as doit tasks: the only room that imports doit.

doit decides order and runs; our records decide freshness. `loading` is doit itself and the tasks it gets of us, `graph`
the tasks of one command line, `action` what doit runs of them, `dependency` what doit is told when it asks how they
stand, `arguments` how doit splits what is for itself.
"""
