"""searchsvc: neural architecture search and hyperparameter search under hard limits, as a library and a service."""
