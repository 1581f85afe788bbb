"""Tells what is on AWS: the stack's parameter DeploymentPreference, and what each of its functions runs on, as JSON.

`stack` is null for a stack that isn't there, and so is a function's architecture. Run by `cargo xtask deploy` with the
Python environment of SAM, whose boto3 finds credentials as SAM does.
"""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

stack, *names = sys.argv[1:]
config = Config(connect_timeout=10, read_timeout=30, retries={"total_max_attempts": 3})


def parameters():
    try:
        found = boto3.client("cloudformation", config=config).describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    return {it["ParameterKey"]: it.get("ParameterValue") for it in found.get("Parameters", [])}


def architecture(client, name):
    try:
        return client.get_function_configuration(FunctionName=f"{stack}-{name}")["Architectures"][0]
    except client.exceptions.ResourceNotFoundException:
        return None


try:
    found = parameters()
    if found is None:
        print(json.dumps({"stack": None}))
    else:
        client = boto3.client("lambda", config=config)
        functions = {name: architecture(client, name) for name in names}
        print(json.dumps({"stack": {"preference": found.get("DeploymentPreference", "none")}, "functions": functions}))
except (BotoCoreError, ClientError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
