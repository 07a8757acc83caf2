"""The contracts that every store keeps."""
