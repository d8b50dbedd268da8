"""`python -m identities`: the command line."""

import sys

from identities.commandline import main

sys.exit(main())
