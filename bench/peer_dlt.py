"""Load the same cost report with dlt's REST source into DuckDB, as its documentation shows.

Usage: peer_dlt.py BASE_URL FOLDER [parquet]   (without `parquet`: dlt's own defaults)
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dlt
from dlt.sources.rest_api import rest_api_source


def main() -> None:
    """Run one pipeline and print how many rows arrived."""
    base_url, folder = sys.argv[1], Path(sys.argv[2])
    loader = {"loader_file_format": "parquet"} if "parquet" in sys.argv[3:] else {}
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    source = rest_api_source(
        {
            "client": {
                "base_url": base_url,
                "paginator": {"type": "cursor", "cursor_path": "next_page", "cursor_param": "page"},
            },
            "resources": [
                {
                    "name": "costs",
                    "endpoint": {
                        "path": "v1/organization/costs",
                        "params": {"start_time": _start(), "bucket_width": "1d", "limit": 180},
                        "data_selector": "data",
                    },
                }
            ],
        }
    )
    pipeline = dlt.pipeline(
        "bench",
        destination=dlt.destinations.duckdb(str(folder / "bench.duckdb")),
        dataset_name="costs",
        pipelines_dir=str(folder / "pipelines"),
    )
    pipeline.run(source, **loader)
    with pipeline.sql_client() as client:
        print(client.execute_sql("SELECT count(*) FROM costs__results")[0][0])


def _start() -> int:
    return int((datetime.now(UTC) - timedelta(days=3650)).timestamp())


if __name__ == "__main__":
    main()
