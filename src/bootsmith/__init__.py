"""The one package: `tasks`, `cache` and `recipes`, which in a checkout are links to its top-level folders."""

__version__ = "0.1.0"
