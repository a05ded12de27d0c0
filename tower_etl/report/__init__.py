"""A history as one page: facts read from the marts, drawn and worded, and put into HTML."""
