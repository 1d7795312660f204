"""``python -m stitchpipe.cli``: the command line without its script."""

from stitchpipe.cli.app import main

if __name__ == "__main__":
    main()
