"""Predictors: estimates of the metrics of a candidate, learned from measured candidates."""
