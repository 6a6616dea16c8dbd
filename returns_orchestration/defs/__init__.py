"""The Dagster project: the only room that knows Dagster, with ``definitions.py`` and ``cli/``.

``assets`` is the contents page, in flow order; ``river`` turns the outcomes of ``flow/`` into
events; ``checks`` and ``metadata`` say how claims and figures appear in the UI; ``instance`` drives
ranges of hours for the command line. Loading it opens no socket, no file and no secret.
"""
