"""Makes of the template one that `sam local` serves without building or deploying anything.

Run by `cargo xtask sam-local` with SAM's own Python environment. Each function gets a folder with its built binary and the
settings given, which take the place of secrets and parameters; aliases and deployments are left out. A path's `any` is
written out as the methods that it lacks: on AWS a method that is named wins over `any`, in `sam local` the last one.
"""

import copy
import json
import sys

from samcli.yamlhelper import yaml_dump, yaml_parse

with open(sys.argv[1], encoding="utf-8") as file:
    given = json.load(file)
with open(given["template"], encoding="utf-8") as file:
    template = yaml_parse(file.read())


ANY = "x-amazon-apigateway-any-method"
METHODS = ("delete", "get", "head", "options", "patch", "post", "put")


def run_here(properties):
    properties["Architectures"] = [given["architecture"]]
    for name in ("Environment", "AutoPublishAlias", "DeploymentPreference", "ReservedConcurrentExecutions"):
        properties.pop(name, None)


run_here(template.setdefault("Globals", {}).setdefault("Function", {}))
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::Function":
        properties = resource["Properties"]
        run_here(properties)
        binary = resource.pop("Metadata")["BuildProperties"]["Binary"]
        properties["CodeUri"] = f"{given['functions']}/{binary}"
        properties["Environment"] = {"Variables": given["settings"]}
    if resource["Type"] == "AWS::Serverless::Api":
        for path in resource["Properties"].get("DefinitionBody", {}).get("paths", {}).values():
            for method in METHODS if ANY in path else ():
                path.setdefault(method, copy.deepcopy(path[ANY]))
            path.pop(ANY, None)
print(yaml_dump(template))
