"""Prints what CloudFormation makes of the template: AWS's own transformation, which asks AWS for nothing."""

import json
import sys

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

with open(sys.argv[1], encoding="utf-8") as file:
    template = yaml_parse(file.read())
# As `sam deploy` leaves it, when it has uploaded the code.
template["Globals"]["Function"]["CodeUri"] = "s3://bucket/function.zip"
# No managed policy is named by its short name, so that there are none to be looked up.
print(json.dumps(Translator({}, Parser()).translate(template, json.loads(sys.argv[2]))))
