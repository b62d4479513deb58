from . import _main

raise SystemExit(_main())
