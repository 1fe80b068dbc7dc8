"""The park file, key by key: read, checked, and turned into the nouns of the model."""
