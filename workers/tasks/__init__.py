"""The tasks that trials train: a file per task, named by the entry points `searchsvc.tasks`."""
