"""The operator's status page: its files, its login and its figures."""
