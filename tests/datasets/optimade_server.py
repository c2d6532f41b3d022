"""A server of OPTIMADE with the structures of a file: python optimade_server.py PORT."""

import os
import sys
from pathlib import Path

os.environ |= {
    "OPTIMADE_CONFIG_FILE": os.devnull,
    "OPTIMADE_INSERT_TEST_DATA": "false",
    "OPTIMADE_DATABASE_BACKEND": "mongomock",
}

if __name__ == "__main__":
    import json

    import uvicorn
    from optimade.server.main import app

    app.state.entry_collections["structures"].insert(json.loads(Path(sys.argv[2]).read_text()))
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
