//! `CloudFormation`'s functions, as far as the template uses them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A stack: a transformed template with its parameters filled in and what its conditions leave out gone.
pub(crate) struct Stack {
    /// The transformed template.
    pub(crate) template: Value,
    parameters: BTreeMap<String, String>,
    /// What the stack would make. A reference to `X` is `<X>`, an attribute `A` of it `<X.A>`.
    pub(crate) resources: BTreeMap<String, Value>,
    /// What it would tell.
    pub(crate) outputs: BTreeMap<String, Value>,
}

impl Stack {
    /// The stack's name.
    pub(crate) const NAME: &str = "colloquy";

    /// The stack of a transformed template.
    pub(crate) fn new(template: Value, parameters: &Value) -> Self {
        let defaults = members(&template["Parameters"]);
        let mut values = BTreeMap::new();
        for (name, parameter) in &defaults {
            let value = parameters.get(name).or(parameter.get("Default")).unwrap_or_else(|| panic!("{name} is needed"));
            values.insert(name.clone(), text(value));
        }
        let mut stack = Self { template, parameters: values, resources: BTreeMap::new(), outputs: BTreeMap::new() };
        stack.resources = stack.kept("Resources");
        stack.outputs = stack.kept("Outputs");
        stack
    }

    /// The members of a section whose conditions hold, evaluated.
    fn kept(&self, section: &str) -> BTreeMap<String, Value> {
        let mut kept = BTreeMap::new();
        for (name, member) in members(&self.template[section]) {
            if member["Condition"].as_str().is_none_or(|condition| self.holds(condition)) {
                kept.insert(name, self.evaluated(&member).unwrap_or_default());
            }
        }
        kept
    }

    /// A parameter's value.
    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).unwrap_or_else(|| panic!("no parameter is named {name}"))
    }

    /// A resource's properties; null where there is no such resource.
    pub(crate) fn properties(&self, resource: &str) -> &Value {
        self.resources.get(resource).map_or(&Value::Null, |resource| &resource["Properties"])
    }

    /// The resources of a type, by logical id.
    pub(crate) fn of_type(&self, kind: &str) -> impl Iterator<Item = (&str, &Value)> {
        let these = self.resources.iter().filter(move |(_, resource)| resource["Type"] == kind);
        these.map(|(name, resource)| (name.as_str(), &resource["Properties"]))
    }

    /// What the rules for parameters say against these.
    pub(crate) fn refusals(&self) -> Vec<String> {
        let mut refusals = Vec::new();
        for (_, rule) in members(&self.template["Rules"]) {
            if rule.get("RuleCondition").is_none_or(|condition| self.is_true(condition)) {
                for assertion in rule["Assertions"].as_array().into_iter().flatten() {
                    if !self.is_true(&assertion["Assert"]) {
                        refusals.push(text(&assertion["AssertDescription"]));
                    }
                }
            }
        }
        refusals
    }

    fn holds(&self, condition: &str) -> bool {
        let conditions = &self.template["Conditions"];
        self.is_true(conditions.get(condition).unwrap_or_else(|| panic!("no condition is named {condition}")))
    }

    fn is_true(&self, condition: &Value) -> bool {
        let (function, argument) = function(condition).unwrap_or_else(|| panic!("no condition: {condition}"));
        let mut arguments = argument.as_array().into_iter().flatten();
        match function {
            "Condition" => self.holds(&text(argument)),
            "Fn::Equals" => {
                let sides: Vec<_> = arguments.map(|side| self.text(side)).collect();
                sides[0] == sides[1]
            }
            "Fn::Not" => !arguments.all(|one| self.is_true(one)),
            "Fn::And" => arguments.all(|one| self.is_true(one)),
            "Fn::Or" => arguments.any(|one| self.is_true(one)),
            _ => panic!("{function} is no condition's"),
        }
    }

    fn text(&self, value: &Value) -> String {
        text(&self.evaluated(value).unwrap_or_default())
    }

    /// What a value comes to; nothing for `AWS::NoValue`.
    fn evaluated(&self, value: &Value) -> Option<Value> {
        if let Some((function, argument)) = function(value)
            && (function == "Ref" || function.starts_with("Fn::"))
        {
            return self.called(function, argument);
        }
        Some(match value {
            Value::Array(items) => items.iter().filter_map(|item| self.evaluated(item)).collect(),
            Value::Object(members) => {
                let evaluated = members.iter().filter_map(|(name, value)| Some((name.clone(), self.evaluated(value)?)));
                Value::Object(evaluated.collect())
            }
            other => other.clone(),
        })
    }

    fn called(&self, function: &str, argument: &Value) -> Option<Value> {
        let arguments = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        Some(match (function, arguments) {
            ("Ref", _) if argument == "AWS::NoValue" => return None,
            ("Ref", _) => self.reference(&text(argument)).into(),
            ("Fn::GetAtt", [resource, attribute]) => format!("<{}.{}>", text(resource), text(attribute)).into(),
            ("Fn::If", [condition, yes, no]) => {
                return self.evaluated(if self.holds(&text(condition)) { yes } else { no });
            }
            ("Fn::FindInMap", [map, key, name]) => {
                self.template["Mappings"][text(map)][self.text(key)][self.text(name)].clone()
            }
            ("Fn::Sub", [template, variables]) => self.substituted(&text(template), &members(variables)).into(),
            ("Fn::Sub", _) => self.substituted(&text(argument), &Map::new()).into(),
            ("Fn::Join", [separator, list]) => self.list(list).join(&text(separator)).into(),
            ("Fn::Select", [index, list]) => {
                self.list(list)[text(index).parse::<usize>().expect("an index")].clone().into()
            }
            ("Fn::Split", [separator, whole]) => self.text(whole).split(&text(separator)).collect(),
            _ => panic!("{function} isn't known here: {argument}"),
        })
    }

    fn list(&self, list: &Value) -> Vec<String> {
        self.evaluated(list).unwrap_or_default().as_array().into_iter().flatten().map(text).collect()
    }

    fn substituted(&self, template: &str, variables: &Map<String, Value>) -> String {
        let mut pieces = template.split("${");
        let mut whole = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (name, rest) = piece.split_once('}').expect("a closing brace");
            match variables.get(name) {
                Some(value) => whole += &self.text(value),
                None => whole += &self.reference(name),
            }
            whole += rest;
        }
        whole
    }

    fn reference(&self, name: &str) -> String {
        let pseudo = match name {
            "AWS::StackName" => Self::NAME,
            "AWS::Partition" => "aws",
            "AWS::Region" => "eu-central-1",
            "AWS::AccountId" => "123456789012",
            "AWS::URLSuffix" => "amazonaws.com",
            _ => return self.parameters.get(name).cloned().unwrap_or_else(|| format!("<{name}>")),
        };
        pseudo.to_owned()
    }
}

/// A value that is a function's call: an object of one member.
fn function(value: &Value) -> Option<(&str, &Value)> {
    let mut members = value.as_object()?.iter();
    let (name, argument) = members.next()?;
    members.next().is_none().then_some((name, argument))
}

fn members(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
