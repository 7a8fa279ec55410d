"""Raw text in, entities with code point offsets out: tagging, and the formats it is written in."""
