"""The river runs: hours are asked for, landed, settled, judged and published.

``gather`` folds what the polls of an hour served; ``settle`` makes the hour's tables of it and
publishes them if no blocking claim fails; ``moved`` finds returns that two hours hold; ``hours``
drives many hours, polling concurrently and settling each as soon as its neighbours have landed;
``rebuild`` makes all tables again from the polls in the lake. Called by ``defs/`` and
``cli``; knows no Dagster, so that it is tested without.
"""
