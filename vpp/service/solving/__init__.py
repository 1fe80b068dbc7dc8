"""Where plans are solved: in warm child processes that can be killed."""
