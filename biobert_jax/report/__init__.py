"""`biobert report`: what runs did, on one page, read from their workdirs alone."""
