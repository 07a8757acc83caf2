"""The demo: audits the Python environment that it runs in, with one job per installed distribution."""
