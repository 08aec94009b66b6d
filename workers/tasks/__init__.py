"""The tasks that trials train: one file per task, named by the entry points `searchsvc.tasks`."""
