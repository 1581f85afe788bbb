//! The text of a database's secret: a connection URL, or the shape of AWS's own database secrets.
//! <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html>

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::address::Address;

/// Whom the functions sign in as.
const APP: &str = "colloquy_app";

/// What stays as it is in any part of a URL.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The connection URL of a secret's text. Fails with what is wrong, completing "the secret …" and quoting nothing.
pub fn connection_url(secret: &str) -> Result<Cow<'_, str>, String> {
    let secret = secret.trim();
    if !secret.starts_with('{') {
        return Ok(secret.into());
    }
    let members: Map<String, Value> = serde_json::from_str(secret).map_err(|_| "isn't valid JSON".to_owned())?;
    let text = |name| members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (Some(username), Some(password), Some(host), Some(dbname)) =
        (text("username"), text("password"), text("host"), text("dbname"))
    else {
        let missing: Vec<_> =
            ["username", "password", "host", "dbname"].into_iter().filter(|name| text(name).is_none()).collect();
        return Err(format!("is a JSON object without {}", missing.join(", ")));
    };
    let encoded = |text| utf8_percent_encode(text, ENCODED);
    let mut url = format!("postgresql://{}:{}@{}", encoded(username), encoded(password), encoded(host));
    if let Some(port) = members.get("port").filter(|port| !port.is_null()) {
        // AWS writes a number, people a text.
        let number = port.as_u64().or_else(|| port.as_str()?.parse().ok());
        let number = number.and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0);
        let number = number.ok_or("is a JSON object whose port is no port")?;
        // Writing into a text can't fail.
        let _ = write!(url, ":{number}");
    }
    // No sslmode: TLS, its certificate verified, to everywhere but this machine.
    let _ = write!(url, "/{}", encoded(dbname));
    Ok(url.into())
}

/// The password of a secret's text that is `colloquy_app`'s. Fails as [`connection_url`] does.
pub fn app_password(secret: &str) -> Result<String, String> {
    let address = Address::of_secret(secret, Duration::ZERO)?;
    let config = address.config();
    if config.get_user() != Some(APP) {
        return Err(format!("isn't that of the role {APP}"));
    }
    let password = config.get_password().and_then(|password| std::str::from_utf8(password).ok());
    password.map(str::to_owned).ok_or_else(|| "holds no password".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn url(secret: &Value) -> String {
        connection_url(&secret.to_string()).unwrap().into_owned()
    }

    #[test]
    fn both_shapes_are_read() {
        let url_itself = "postgresql://u:p@h/db?sslmode=require";
        assert_eq!(connection_url(&format!(" {url_itself}\n")).unwrap(), url_itself);
        let mut secret = json!({"username": "u", "password": "p/@:?#%{ ü", "host": "db.example.com", "dbname": "d/b", "engine": "postgres"});
        assert_eq!(url(&secret), "postgresql://u:p%2F%40%3A%3F%23%25%7B%20%C3%BC@db.example.com/d%2Fb");
        for port in [json!(6432), json!("6432")] {
            secret["port"] = port;
            assert!(url(&secret).contains("@db.example.com:6432/"));
        }
        secret["port"] = Value::Null;
        assert!(url(&secret).contains("@db.example.com/"));
    }

    #[test]
    fn what_is_wrong_is_told_and_not_quoted() {
        let good = json!({"username": "canary", "password": "canary", "host": "canary", "dbname": "canary"});
        let but = |name: &str, value: Value| {
            let mut secret = good.clone();
            secret[name] = value;
            secret.to_string()
        };
        for (secret, named) in [
            ("{canary".to_owned(), "isn't valid JSON"),
            (json!({"canary": "canary"}).to_string(), "without username, password, host, dbname"),
            (but("password", json!("")), "without password"),
            (but("host", json!(["canary"])), "without host"),
            (but("port", json!("canary")), "port is no port"),
            (but("port", json!(0)), "port is no port"),
            (but("port", json!(65_536)), "port is no port"),
        ] {
            let told = connection_url(&secret).unwrap_err();
            assert!(told.contains(named) && !told.contains("canary"), "{secret}: {told}");
        }
    }

    #[test]
    fn the_password_is_colloquy_apps() {
        let secret =
            |username| json!({"username": username, "password": "p@ss", "host": "h", "dbname": "db"}).to_string();
        assert_eq!(app_password(&secret("colloquy_app")).unwrap(), "p@ss");
        assert_eq!(app_password("postgresql://colloquy_app:p%40ss@h/db").unwrap(), "p@ss");
        for (secret, named) in [
            (secret("canary"), "colloquy_app"),
            ("postgresql://colloquy_app@h/db".to_owned(), "no password"),
            ("canary".to_owned(), "postgresql://"),
        ] {
            let told = app_password(&secret).unwrap_err();
            assert!(told.contains(named) && !told.contains("canary"), "{told}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_password_holds_arrives(username in "[^\0]{1,20}", password in "[^\0]{1,40}", dbname in "[^\0]{1,20}") {
            let secret = json!({"username": username, "password": password, "host": "localhost", "port": 5433, "dbname": dbname});
            let address = Address::parse(&url(&secret), Duration::from_secs(5)).unwrap();
            let config = address.config();
            prop_assert_eq!(config.get_user(), Some(username.as_str()));
            prop_assert_eq!(config.get_password(), Some(password.as_bytes()));
            prop_assert_eq!(config.get_dbname(), Some(dbname.as_str()));
            prop_assert_eq!(config.get_ports(), [5433]);
        }
    }
}
