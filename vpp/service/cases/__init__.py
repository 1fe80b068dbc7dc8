"""One horizon to plan, read from a file: `vpp plan` and `POST /v1/plan`."""
