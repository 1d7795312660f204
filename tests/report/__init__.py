"""The page: what is written, what a browser makes of it, and the server that hands it out."""
