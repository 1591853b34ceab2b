"""Metering of requests: what each call to a vendor used, observed where its answer is received."""
