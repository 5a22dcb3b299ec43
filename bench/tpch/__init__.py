"""TPC-H under differential privacy: the 22 published queries, each answered or refused with a reason."""
