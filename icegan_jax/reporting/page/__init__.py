"""The HTML page of the report, section by section; every name that comes from data is escaped."""
