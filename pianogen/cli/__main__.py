"""`python -m pianogen.cli`: the command where its script is not installed."""

from pianogen.cli import main

main()
