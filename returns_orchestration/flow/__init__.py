"""The river runs: hours are asked for, landed, settled, judged and published.

``polling`` asks for windows concurrently; ``gather`` folds what the polls of an hour served;
``settle`` makes the hour's tables of it and publishes them if no blocking claim fails; ``moved``
finds returns that two hours hold; ``days`` counts the rows of a day; ``mend`` sets aside what is
damaged of an hour; ``hours`` drives many hours, settling each as soon as its neighbours have
landed. ``rebuild`` makes all tables again from the polls in the lake, and ``upgrade`` brings a lake
of an earlier format over. Called by ``defs/`` and ``cli/``; knows no Dagster, so that it is tested
without.
"""
