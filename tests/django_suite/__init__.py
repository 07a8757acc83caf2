"""Django's own tests of its task framework, run against JobsBackend: nothing of Django's is kept here."""
