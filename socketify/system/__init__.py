"""What a process has of its system: descriptors, standard streams and signals."""
