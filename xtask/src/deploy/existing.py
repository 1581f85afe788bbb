"""Tells which functions are on AWS: their architecture and their aliases as JSON, null for one that isn't there.

Run by `cargo xtask deploy` with the Python environment of SAM, whose boto3 finds credentials as SAM does.
"""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

try:
    config = Config(connect_timeout=10, read_timeout=30, retries={"total_max_attempts": 3})
    client = boto3.client("lambda", config=config)
    found = {}
    for name in sys.argv[1:]:
        try:
            configuration = client.get_function_configuration(FunctionName=name)
            aliases = client.list_aliases(FunctionName=name)["Aliases"]
        except client.exceptions.ResourceNotFoundException:
            found[name] = None
            continue
        found[name] = {
            "architecture": configuration["Architectures"][0],
            "aliases": [alias["Name"] for alias in aliases],
        }
    print(json.dumps(found))
except (BotoCoreError, ClientError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
