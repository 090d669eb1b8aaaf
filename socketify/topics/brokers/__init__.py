"""The brokers that come with the package, and the schemes of URLs that name them."""
