"""Each command in the words of the command line. What it does is imported when it is called: `--help` reads them all."""
