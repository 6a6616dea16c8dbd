"""The river runs: hours are asked for, landed, settled, judged and published.

``settle`` makes one hour's tables of what the lake holds and publishes them if no blocking claim
fails; ``hours`` drives many hours, polling concurrently and settling each as soon as its neighbours
have landed; ``rebuild`` makes all tables again from the polls in the lake. Called by ``defs/`` and
``cli``; knows no Dagster, so that it is tested without.
"""
