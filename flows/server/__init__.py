"""The Prefect server and what it knows of this project: settings, deployments, pools, automations, the run form."""
