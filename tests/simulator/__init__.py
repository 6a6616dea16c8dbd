"""Tests of the bundled simulator: by itself, over real HTTP, without any of the pipeline."""
