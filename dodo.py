"""This repository's own recipes as doit tasks, and the tasks only its developers need."""

from bootsmith.tasks import image_tasks

DOIT_CONFIG, task_bootsmith = image_tasks("recipes/minimal.yaml")
