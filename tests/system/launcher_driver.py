"""The launcher with another app: `launcher_driver.py APP …` is `start_scalix_litellm.py …` serving APP."""

import sys

from scalix_callbacks.cli.launcher import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[2:], app=sys.argv[1]))
