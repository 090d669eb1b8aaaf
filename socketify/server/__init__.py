"""One call that serves an application of any interface, and the class of each."""
