"""The command: python -m attune VERB ..."""

import sys

from attune import _native


def main() -> None:
    """Runs the command `attune` with the program's arguments."""
    sys.exit(_native.main(["attune", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
