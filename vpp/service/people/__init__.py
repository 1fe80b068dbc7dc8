"""Messages to people: over which ways, in which words, and the page by which they answer."""
