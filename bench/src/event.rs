//! Events of a REST API (API Gateway, version 1), with what a browser and API Gateway put around a request.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway.html>

use serde_json::{Map, Value, json};

/// The host of the API.
const HOST: &str = "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com";

/// A request to be made into an event.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) token: String,
    pub(crate) body: Option<Value>,
}

impl Call {
    pub(crate) fn get(path: impl Into<String>, token: &str) -> Self {
        Self { method: "GET", path: path.into(), query: Vec::new(), token: token.to_owned(), body: None }
    }

    /// The event's JSON.
    pub(crate) fn event(&self) -> Vec<u8> {
        self.event_with(self.body.as_ref().map(Value::to_string).as_deref())
    }

    /// The same with a body as it is written.
    pub(crate) fn event_with(&self, body: Option<&str>) -> Vec<u8> {
        let mut headers = json!({
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate, br, zstd",
            "Accept-Language": "en-GB,en;q=0.9,de;q=0.8",
            "Authorization": format!("Bearer {}", self.token),
            "Host": HOST,
            "Origin": "https://app.example.com",
            "Referer": "https://app.example.com/",
            "sec-ch-ua": "\"Chromium\";v=\"142\", \"Google Chrome\";v=\"142\", \"Not_A Brand\";v=\"99\"",
            "sec-ch-ua-mobile": "?0",
            "sec-ch-ua-platform": "\"macOS\"",
            "Sec-Fetch-Dest": "empty",
            "Sec-Fetch-Mode": "cors",
            "Sec-Fetch-Site": "cross-site",
            "User-Agent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) \
                Chrome/142.0.0.0 Safari/537.36",
            "X-Amzn-Trace-Id": "Root=1-69172f3a-4e1b6f0a5c2d7e8f9a0b1c2d",
            "X-Forwarded-For": "203.0.113.24",
            "X-Forwarded-Port": "443",
            "X-Forwarded-Proto": "https",
        });
        if body.is_some() {
            headers["Content-Type"] = "application/json".into();
        }
        let lists = |members: &Map<String, Value>| -> Value {
            members.iter().map(|(name, value)| (name.clone(), json!([value]))).collect::<Map<_, _>>().into()
        };
        let query: Map<String, Value> =
            self.query.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
        let (query, multi_query) =
            if query.is_empty() { (Value::Null, Value::Null) } else { (Value::Object(query.clone()), lists(&query)) };
        let multi_headers = headers.as_object().map_or(Value::Null, lists);
        json!({
            "resource": "/{proxy+}",
            "path": self.path,
            "httpMethod": self.method,
            "headers": headers,
            "multiValueHeaders": multi_headers,
            "queryStringParameters": query,
            "multiValueQueryStringParameters": multi_query,
            "pathParameters": {"proxy": self.path.trim_start_matches('/')},
            "stageVariables": null,
            "requestContext": {
                "resourceId": "x7k2mz",
                "resourcePath": "/{proxy+}",
                "httpMethod": self.method,
                "extendedRequestId": "UB2Q8FJKliAFb1A=",
                "requestTime": "14/Nov/2026:13:31:38 +0000",
                "path": format!("/prod{}", self.path),
                "accountId": "123456789012",
                "protocol": "HTTP/1.1",
                "stage": "prod",
                "domainPrefix": "a1b2c3d4e5",
                "requestTimeEpoch": 1_794_663_098_214_u64,
                "requestId": "7d1f2b0e-3a4c-4d5e-8f60-718293a4b5c6",
                "identity": {
                    "cognitoIdentityPoolId": null, "accountId": null, "cognitoIdentityId": null, "caller": null,
                    "sourceIp": "203.0.113.24", "principalOrgId": null, "accessKey": null,
                    "cognitoAuthenticationType": null, "cognitoAuthenticationProvider": null, "userArn": null,
                    "userAgent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36", "user": null,
                },
                "domainName": HOST,
                "deploymentId": "q9w8e7",
                "apiId": "a1b2c3d4e5",
            },
            "body": body,
            "isBase64Encoded": false,
        })
        .to_string()
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_holds_the_request() {
        let mut call = Call::get("/v1/conversations", "t");
        call.query.push(("limit", "50".to_owned()));
        let event: Value = serde_json::from_slice(&call.event()).unwrap();
        assert_eq!(event["multiValueQueryStringParameters"], json!({"limit": ["50"]}));
        assert_eq!(event["multiValueHeaders"]["Authorization"], json!(["Bearer t"]));
        assert_eq!(
            (&event["body"], &event["requestContext"]["path"]),
            (&Value::Null, &json!("/prod/v1/conversations"))
        );
    }
}
