//! The README's table of settings says what `config` knows.

use std::collections::BTreeMap;
use std::time::Duration;

use shared::config::{Config, CorsOrigins, settings};

const README: &str = include_str!("../../../README.md");

#[test]
fn the_readme_lists_every_setting_with_its_default_and_meaning() {
    let rows: Vec<String> =
        settings().map(|it| format!("| `{}` | {} | {} |", it.name, it.default, it.meaning)).collect();
    assert!(README.contains(&rows.join("\n")), "the table should be:\n{}", rows.join("\n"));
}

#[test]
fn the_docs_list_every_code_with_its_status() {
    let docs = include_str!("../../../docs/api.md");
    for code in shared::error::Code::ALL {
        assert!(docs.contains(&format!("| {} | `{}` |", code.status(), code.as_str())), "{code:?}");
    }
}

fn read(settings: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let settings: BTreeMap<&str, &str> = settings.iter().copied().collect();
    Config::read(&|name| settings.get(name).map(|value| (*value).to_owned())).map_err(|faults| faults.0)
}

const REQUIRED: [(&str, &str); 2] =
    [("DATABASE_URL", "postgresql://x"), ("AUTH_URL", "https://App.example.com:443/api/auth")];

#[test]
fn two_settings_are_enough() {
    let config = read(&REQUIRED).expect("good settings");
    assert_eq!(config.auth.jwks_url, "https://App.example.com:443/api/auth/jwks");
    assert_eq!(
        (config.auth.issuer.as_str(), config.auth.audience.as_str()),
        ("https://app.example.com", "https://app.example.com")
    );
    assert_eq!(config.auth.issuer_id, config.auth.issuer);
    assert_eq!((config.auth.jwks_ttl, config.auth.leeway), (Duration::from_mins(10), Duration::from_secs(30)));
    assert_eq!((config.database.pool_size, config.database.request_timeout), (1, Duration::from_secs(8)));
    assert_eq!((config.http.cors_origins, config.http.base_path.as_str()), (CorsOrigins::None, ""));
}

#[test]
fn the_rest_can_be_set_and_empty_is_not_set() {
    let settings = [
        ("JWKS_URL", "https://keys.example.com/jwks"),
        ("JWT_ISSUER", "https://issuer.example.com"),
        ("JWT_AUDIENCE", ""),
        ("ISSUER_ID", "https://old.example.com"),
        ("CORS_ORIGINS", "https://a.example.com, http://localhost:3000"),
        ("BASE_PATH", "/chat-api/"),
        ("AWS_LAMBDA_MAX_CONCURRENCY", "16"),
    ];
    let config = read(&[&REQUIRED[..], &settings].concat()).expect("good settings");
    assert_eq!(config.auth.jwks_url, "https://keys.example.com/jwks");
    assert_eq!(config.auth.audience, "https://app.example.com");
    assert_eq!(config.auth.issuer_id, "https://old.example.com");
    assert_eq!(config.http.base_path, "/chat-api");
    assert_eq!(config.database.pool_size, 16);
    let origins = ["https://a.example.com", "http://localhost:3000"].map(str::to_owned);
    assert_eq!(config.http.cors_origins, CorsOrigins::These(origins.to_vec()));
}

#[test]
fn what_is_missing_or_malformed_is_told_at_once() {
    assert_eq!(read(&[]).expect_err("faults"), ["AUTH_URL is not set", "DATABASE_URL is not set"]);
    let bad = [
        ("AUTH_URL", "http://app.example.com/api/auth"),
        ("DATABASE_URL", "postgresql://x"),
        ("JWKS_URL", "nowhere"),
        ("JWKS_TTL_SECONDS", "-1"),
        ("CORS_ORIGINS", "https://app.example.com/path"),
        ("BASE_PATH", "chat"),
        ("LOG_LEVEL", "loud"),
    ];
    let faults = read(&bad).expect_err("faults");
    let named: Vec<&str> = faults.iter().map(|fault| fault.split(' ').next().expect("a name")).collect();
    assert_eq!(named, ["AUTH_URL", "JWKS_URL", "JWKS_TTL_SECONDS", "CORS_ORIGINS", "BASE_PATH", "LOG_LEVEL"]);
}

#[test]
fn http_is_good_enough_for_this_machine_alone() {
    for good in ["http://localhost:3000/api/auth", "http://127.0.0.1:1/a", "http://[::1]:1/a", "https://x.example/a"] {
        assert!(read(&[REQUIRED[0], ("AUTH_URL", good)]).is_ok(), "{good}");
    }
    for bad in ["http://localhost.example.com/a", "http://10.0.0.1/a", "file:///a", "localhost:3000"] {
        assert!(read(&[REQUIRED[0], ("AUTH_URL", bad)]).is_err(), "{bad}");
    }
}
