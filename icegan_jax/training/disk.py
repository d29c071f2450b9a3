"""What the system says of a file, in whatever error carries it (tensorstore wraps its own), and folders for keeps."""
