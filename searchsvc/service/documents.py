"""Documents that users send, from text to plain data: safe, limited in size and depth, strict about what is unclear.

YAML as in its version 1.2: `5e6` and `1e-3` are numbers, `no`, `on` and `2024-01-01` are text, a key may stand only once,
there are no tags. JSON is YAML here. A value is a mapping, list, text, whole number, finite number, true, false or null.
"""
