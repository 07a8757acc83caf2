"""Plain Python: the values and rules of a job. No Django, no sockets; time and randomness are arguments."""
