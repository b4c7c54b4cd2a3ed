"""What an engine is, and running one: synchronous, pure, without torch."""

import os
import sys
from typing import Any, cast

# What runs engines reports on its users by default, and so do the libraries beneath. Not here: this
# comes before the first import of either, after which it would be too late.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
cast(dict[str, Any], sys.modules)["openvino_telemetry"] = None
