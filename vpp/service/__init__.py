"""TIME: the daemon that runs the verbs in order. Start reading at cycle.py."""
