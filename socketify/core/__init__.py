"""What an app is made of, before it knows of requests: its core, its options, how it listens, is served and ends."""
