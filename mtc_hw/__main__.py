"""`python -m mtc_hw` is `mtc-hw`."""

from mtc_hw.cli import main

if __name__ == "__main__":
    main()
