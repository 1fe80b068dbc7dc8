"""Our own OpenADR 3 server, and the sites that ask it."""
