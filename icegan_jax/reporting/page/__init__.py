"""The report's page, section by section: text in, HTML out; every name that comes from data is escaped."""
