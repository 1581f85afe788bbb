//! Secrets Manager that costs next to nothing: it answers every question at once, with the database's URL. It stands in for
//! AWS, whose own time would be most of what one sees.

use anyhow::Result;
use serde_json::json;

use crate::function::Program;
use crate::wire;

const ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:bench-AbCdEf";

/// Starts it; where it is.
pub(crate) fn start(database_url: &str) -> Result<String> {
    let secret = json!({"ARN": ARN, "Name": "bench", "VersionId": "00000000-0000-4000-8000-000000000000",
        "VersionStages": ["AWSCURRENT"], "CreatedDate": 1.767e9, "SecretString": database_url});
    let secret = secret.to_string();
    let port = wire::listen_http(move |mut connection| {
        while connection.read()?.is_some() {
            connection.write("200 OK", "content-type: application/x-amz-json-1.1\r\n", secret.as_bytes())?;
        }
        Ok(())
    })?;
    Ok(format!("http://127.0.0.1:{port}"))
}

/// The same function, with its database's URL there instead of in its settings.
pub(crate) fn in_its_place(program: &Program, url: &str) -> Program {
    let mut program = program.clone();
    program.settings.retain(|(name, _)| *name != "DATABASE_URL");
    // As Lambda sets them, the endpoint aside.
    program
        .with("DATABASE_SECRET_ARN", ARN)
        .with("AWS_ENDPOINT_URL", url)
        .with("AWS_REGION", "eu-central-1")
        .with("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .with("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
        .with("AWS_SESSION_TOKEN", "token")
}
