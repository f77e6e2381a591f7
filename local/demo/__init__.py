"""One invoice lives its whole life on the local stack: the demo, and the steps the end-to-end tests assert on."""
