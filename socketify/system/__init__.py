"""A process and its system: descriptors, standard streams and signals."""
