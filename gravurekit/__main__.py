"""`python -m gravurekit` is the same program as `gravurekit`."""

from gravurekit.cli import main

if __name__ == "__main__":
    main()
