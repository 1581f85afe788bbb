//! Each rule broken once, on a copy: it must be told, by that rule.

use serde_json::{Value, json};

use super::policy::{RULES, faults};
use super::{Stack, everything, transformed};

/// A change of the transformed template, the rule that it breaks, and a word of what is told.
type Break = (&'static str, &'static str, fn(&mut Value));

fn properties<'a>(template: &'a mut Value, resource: &str) -> &'a mut Value {
    let properties = &mut template["Resources"][resource]["Properties"];
    assert!(properties.is_object(), "no {resource}");
    properties
}

fn integration<'a>(template: &'a mut Value, path: &str, method: &str) -> &'a mut Value {
    let paths = &mut properties(template, "Api")["Body"]["paths"];
    &mut paths[path][method]["x-amazon-apigateway-integration"]
}

fn statement<'a>(template: &'a mut Value, resource: &str) -> &'a mut Value {
    let properties = properties(template, resource);
    if properties["PolicyDocument"].is_object() {
        &mut properties["PolicyDocument"]["Statement"][0]
    } else {
        &mut properties["Policies"][0]["PolicyDocument"]["Statement"][0]
    }
}

fn variables<'a>(template: &'a mut Value, function: &str) -> &'a mut Value {
    &mut properties(template, function)["Environment"]["Variables"]
}

fn answer<'a>(template: &'a mut Value, kind: &str) -> &'a mut Value {
    &mut properties(template, "Api")["Body"]["x-amazon-apigateway-gateway-responses"][kind]
}

fn stage(template: &mut Value) -> &mut Value {
    properties(template, "ApiprodStage")
}

/// Gives a role another policy.
fn attach(template: &mut Value, role: &str, policy: &Value) {
    let attached = &mut properties(template, role)["ManagedPolicyArns"];
    attached.as_array_mut().expect("policies").push(policy.clone());
}

const BREAKS: &[Break] = &[
    ("names", "ListMessages", |t| properties(t, "ListMessages")["FunctionName"] = "list-messages".into()),
    ("names", "Me", |t| properties(t, "Me")["FunctionName"] = json!({"Fn::Sub": "${AWS::StackName}-health"})),
    ("rights", "logs:*", |t| statement(t, "MeRole")["Action"] = "logs:*".into()),
    ("rights", "rights on *", |t| statement(t, "MeRole")["Resource"] = "*".into()),
    ("rights", "secret:*", |t| statement(t, "DatabasePolicy")["Resource"] = "arn:aws:secretsmanager:::secret:*".into()),
    ("rights", "NotResource", |t| statement(t, "DatabasePolicy")["NotResource"] = "arn:aws:s3:::x".into()),
    ("rights", "AWSLambdaBasicExecutionRole", |t| {
        attach(t, "MeRole", &"arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole".into());
    }),
    ("rights", "[\"Health\", \"Me\"]", |t| properties(t, "Me")["Role"] = json!({"Fn::GetAtt": ["HealthRole", "Arn"]})),
    ("rights", "not Lambda's alone", |t| {
        properties(t, "MeRole")["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] = json!({"AWS": "*"});
    }),
    ("secrets", "GetChat", |t| attach(t, "GetChatRole", &json!({"Ref": "OwnerPolicy"}))),
    ("secrets", "ResumeChat", |t| attach(t, "ResumeChatRole", &json!({"Ref": "AgentKeyPolicy"}))),
    ("secrets", "Fallback", |t| attach(t, "FallbackRole", &json!({"Ref": "DatabasePolicy"}))),
    ("secrets", "ListMessages", |t| {
        properties(t, "ListMessagesRole")["ManagedPolicyArns"].as_array_mut().expect("policies").clear();
    }),
    ("secrets", "Me is told of AGENT_API_KEY_SECRET_ARN", |t| {
        variables(t, "Me")["AGENT_API_KEY_SECRET_ARN"] = json!({"Ref": "AgentApiKeySecret"});
    }),
    ("plain secrets", "ReplyChat tells AgentApiKey", |t| {
        variables(t, "ReplyChat")["AGENT_MODEL"] = json!({"Ref": "AgentApiKey"});
    }),
    ("plain secrets", "Migrate tells OwnerDatabaseUrl", |t| {
        properties(t, "Migrate")["Description"] = json!({"Fn::Sub": "for ${OwnerDatabaseUrl}"});
    }),
    ("plain secrets", "Me has DATABASE_URL in plain", |t| variables(t, "Me")["DATABASE_URL"] = "postgresql://x".into()),
    ("plain secrets", "resolves a secret", |t| {
        properties(t, "Me")["Description"] = "{{resolve:secretsmanager:x}}".into();
    }),
    ("plain secrets", "AgentApiKey is echoed", |t| t["Parameters"]["AgentApiKey"]["NoEcho"] = false.into()),
    ("plain secrets", "too short", |t| {
        properties(t, "AppDatabaseSecret")["GenerateSecretString"]["PasswordLength"] = 12.into();
    }),
    ("doors", "leads to \"me\"", |t| {
        let uri = integration(t, "/v1/me", "get")["uri"].clone();
        integration(t, "/v1/conversations", "get")["uri"] = uri;
    }),
    ("doors", "leads to \"migrate\"", |t| {
        let uri = integration(t, "/health", "get")["uri"].to_string().replace("-health$", "-migrate$");
        integration(t, "/health", "get")["uri"] = serde_json::from_str(&uri).expect("JSON");
    }),
    ("doors", "calls the alias None", |t| {
        let uri = integration(t, "/v1/me", "get")["uri"].to_string().replace("${Alias}", "");
        integration(t, "/v1/me", "get")["uri"] = serde_json::from_str(&uri).expect("JSON");
    }),
    ("doors", "leaves the verifying", |t| {
        properties(t, "Api")["Body"]["paths"]["/v1/me"]["get"]["security"] = json!([{"jwt": []}]);
    }),
    ("doors", "goes around the API", |t| {
        let url = json!({"AuthType": "NONE", "TargetFunctionArn": {"Ref": "Me"}});
        t["Resources"]["MeUrl"] = json!({"Type": "AWS::Lambda::Url", "Properties": url});
    }),
    ("doors", "lets \"*\" call \"me\"", |t| properties(t, "MePermission")["Principal"] = "*".into()),
    ("doors", "\"migrate\"", |t| properties(t, "MePermission")["FunctionName"] = json!({"Ref": "Migrate"})),
    ("doors", "MePermission", |t| properties(t, "MePermission")["SourceArn"] = Value::Null),
    ("logs", "Me has no log of its own", |t| {
        properties(t, "Me")["LoggingConfig"]["LogGroup"] = json!({"Ref": "HealthLogs"});
    }),
    ("logs", "Me logs no JSON", |t| properties(t, "Me")["LoggingConfig"]["LogFormat"] = "Text".into()),
    ("logs", "lose its metrics", |t| properties(t, "Me")["LoggingConfig"]["ApplicationLogLevel"] = "WARN".into()),
    ("logs", "may write other logs", |t| {
        statement(t, "MeRole")["Resource"] = json!({"Fn::GetAtt": ["HealthLogs", "Arn"]});
    }),
    ("logs", "MeLogs is kept forever", |t| properties(t, "MeLogs")["RetentionInDays"] = Value::Null),
    ("logs", "AccessLogs is kept forever", |t| properties(t, "AccessLogs")["RetentionInDays"] = Value::Null),
    ("logs", "no access log", |t| stage(t)["AccessLogSetting"] = Value::Null),
    ("logs", "logs authorizer.claims", |t| {
        stage(t)["AccessLogSetting"]["Format"] = r#"{"who":"$context.authorizer.claims"}"#.into();
    }),
    ("logs", "logs requests in full", |t| stage(t)["MethodSettings"][0]["DataTraceEnabled"] = true.into()),
    ("timeouts", "Me has 30 s", |t| properties(t, "Me")["Timeout"] = 30.into()),
    ("timeouts", "Me has 5 s", |t| properties(t, "Me")["Timeout"] = 5.into()),
    ("timeouts", "ReplyChat has 900 s", |t| properties(t, "ReplyChat")["Timeout"] = 900.into()),
    ("timeouts", "ReplyChat has 60 s", |t| properties(t, "ReplyChat")["Timeout"] = 60.into()),
    ("timeouts", "its gateway 29000 ms", |t| integration(t, "/v1/chat", "post")["timeoutInMillis"] = 29000.into()),
    ("timeouts", "its gateway 0 ms", |t| integration(t, "/v1/chat", "post")["timeoutInMillis"] = Value::Null),
    ("timeouts", "Migrate has 300 s", |t| properties(t, "Migrate")["Timeout"] = 300.into()),
    ("compression", "from None", |t| properties(t, "Api")["MinimumCompressionSize"] = Value::Null),
    ("streams", "POST /v1/chat is streamed: false", |t| {
        let uri = integration(t, "/v1/chat", "post")["uri"].to_string();
        let uri = uri.replace("response-streaming-invocations", "invocations");
        integration(t, "/v1/chat", "post")["uri"] = serde_json::from_str(&uri).expect("JSON");
        integration(t, "/v1/chat", "post")["responseTransferMode"] = Value::Null;
    }),
    ("streams", "GET /v1/me is streamed: true", |t| {
        let uri = integration(t, "/v1/me", "get")["uri"].to_string();
        let uri = uri.replace("/invocations", "/response-streaming-invocations");
        integration(t, "/v1/me", "get")["uri"] = serde_json::from_str(&uri).expect("JSON");
        integration(t, "/v1/me", "get")["responseTransferMode"] = "STREAM".into();
    }),
    ("streams", "neither", |t| integration(t, "/v1/chat", "post")["responseTransferMode"] = Value::Null),
    ("problems", "own words for THROTTLED", |t| *answer(t, "THROTTLED") = Value::Null),
    ("problems", "DEFAULT_5XX is no problem document", |t| {
        answer(t, "DEFAULT_5XX")["responseParameters"]["gatewayresponse.header.Content-Type"] = "'text/html'".into();
    }),
    ("problems", "DEFAULT_4XX has a problem document of its own kind", |t| {
        answer(t, "DEFAULT_4XX")["statusCode"] = "404".into();
    }),
    ("problems", "can be read by", |t| {
        answer(t, "THROTTLED")["responseParameters"]["gatewayresponse.header.Access-Control-Allow-Origin"] =
            "'*'".into();
    }),
    ("problems", "says nothing", |t| answer(t, "WAF_FILTERED")["responseTemplates"] = json!({})),
    ("alarms", "goes off where nothing happens", |t| {
        properties(t, "JwksAlarm")["TreatMissingData"] = "breaching".into();
    }),
    ("alarms", "JwksAlarm doesn't tell the topic", |t| properties(t, "JwksAlarm")["AlarmActions"] = Value::Null),
    ("alarms", "which nobody counts", |t| properties(t, "JwksAlarm")["MetricName"] = "JwksFailures".into()),
    ("alarms", "which nobody counts", |t| {
        properties(t, "SweepAlarm")["Dimensions"][0]["Value"] = "colloquy-sweeper".into();
    }),
    ("alarms", "nobody watches FailedRuns", |t| {
        t["Resources"].as_object_mut().expect("resources").remove("FailedRunsAlarm");
    }),
    ("alarms", "the other way round: [\"colloquy-reply-chat\"]", |t| {
        let metric = properties(t, "SlowReadsAlarm")["Metrics"].as_array_mut().expect("metrics");
        let mut more = metric[1].clone();
        more["Id"] = "more".into();
        more["MetricStat"]["Metric"]["Dimensions"][0]["Value"] = "colloquy-reply-chat".into();
        metric.push(more);
    }),
    ("leavings", "AppDatabaseSecret", |t| t["Resources"]["AppDatabaseSecret"]["DeletionPolicy"] = Value::Null),
    ("settings", "Me has the setting JWKS_TTL", |t| variables(t, "Me")["JWKS_TTL"] = "600".into()),
    ("settings", "Me counts for", |t| variables(t, "Me")["METRICS_STACK"] = "prod".into()),
];

#[test]
fn what_breaks_a_rule_is_told_by_that_rule() {
    let parameters = everything();
    let template = transformed(&parameters);
    for (rule, word, break_it) in BREAKS {
        let mut broken = template.clone();
        break_it(&mut broken);
        assert_ne!(broken, template, "{rule}: {word}");
        let told = faults(&Stack::new(broken, &parameters));
        assert!(told.iter().any(|(by, what)| by == rule && what.contains(word)), "{rule}: {word}: {told:#?}");
    }
    for (rule, _) in RULES {
        assert!(BREAKS.iter().any(|(broken, ..)| broken == rule), "{rule} is broken nowhere");
    }
}
