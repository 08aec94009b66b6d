"""The tests: unit, contract, integration, chaos, architecture."""
