"""Stopping rules: a module per rule, and a table. A new rule needs a module, an entry of the table and a docs section.
"""
