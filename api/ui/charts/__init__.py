"""Charts, as options of ECharts."""
