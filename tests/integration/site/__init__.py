"""The project that the workers of these tests run: one app with jobs that write down what happens to them."""
