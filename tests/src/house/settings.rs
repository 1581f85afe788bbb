//! The README's table of settings says what `config` knows.

use std::collections::BTreeMap;
use std::time::Duration;

use shared::config::{AgentProtocol, AllowedOrigin, Config, CorsOrigins, Secret, SendUser, Setting, settings};

const README: &str = include_str!("../../../README.md");

#[test]
fn the_readme_lists_every_setting_with_its_default_and_meaning() {
    let range = |range: (u64, u64)| format!(" ({} to {})", range.0, range.1);
    let meaning = |it: &Setting| format!("{}{}", it.meaning, it.range.map(range).unwrap_or_default());
    let rows: Vec<String> =
        settings().map(|it| format!("| `{}` | {} | {} |", it.name, it.default, meaning(it))).collect();
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
    let origins = ["https://a.example.com", "http://localhost:3000"].map(|it| AllowedOrigin::Exact(it.to_owned()));
    assert_eq!(config.http.cors_origins, CorsOrigins::These(origins.to_vec()));
}

#[test]
fn what_is_missing_or_malformed_is_told_at_once() {
    assert_eq!(
        read(&[]).expect_err("faults"),
        ["AUTH_URL is not set", "DATABASE_URL is not set, nor is DATABASE_SECRET_ARN"]
    );
    let bad = [
        ("AUTH_URL", "http://app.example.com/api/auth"),
        ("DATABASE_URL", "postgresql://x"),
        ("JWKS_URL", "nowhere"),
        ("JWKS_TTL_SECONDS", "-1"),
        ("CORS_ORIGINS", "https://app.example.com/path"),
        ("BASE_PATH", "chat"),
        ("LOG_LEVEL", "loud"),
        ("METRICS_STACK", "a\nb"),
    ];
    let faults = read(&bad).expect_err("faults");
    let named: Vec<&str> = faults.iter().map(|fault| fault.split(' ').next().expect("a name")).collect();
    let expected =
        ["AUTH_URL", "JWKS_URL", "JWKS_TTL_SECONDS", "CORS_ORIGINS", "BASE_PATH", "LOG_LEVEL", "METRICS_STACK"];
    assert_eq!(named, expected);
}

/// A function that waits for no time at all answers nobody, and one that waits for longer than its gateway neither.
#[test]
fn every_time_has_its_range_and_is_refused_beyond_it() {
    let agent = ("AGENT_URL", "https://agent.example.com/v1");
    let times: Vec<&Setting> = settings().filter(|it| it.name.ends_with("_SECONDS")).collect();
    assert!(times.len() >= 12, "{times:?}");
    for Setting { name, range, .. } in times {
        let (least, most) = range.unwrap_or_else(|| panic!("{name} has no range"));
        assert!(least > 0 && most > least, "{name}");
        let beyond = [0, least - 1, most + 1, u64::MAX].map(|it| it.to_string());
        for bad in
            beyond.iter().map(String::as_str).chain(["-1", "1.5", "1e1", "0x10", "ten", "99999999999999999999999"])
        {
            let faults = read(&[&REQUIRED[..], &[agent, (name, bad)]].concat()).expect_err("a fault");
            assert_eq!(faults, [format!("{name} must be a whole number from {least} to {most}")], "{bad}");
        }
        // The key set's are compared with each other, too.
        for good in [least, most].map(|it| it.to_string()).iter().filter(|_| !name.starts_with("JWKS_")) {
            assert!(read(&[&REQUIRED[..], &[agent, (name, good)]].concat()).is_ok(), "{name}={good}");
        }
    }
}

#[test]
fn the_key_sets_times_fit_each_other() {
    let with = |settings: &[(&str, &str)]| read(&[&REQUIRED[..], settings].concat()).map(|_| ());
    let stale = ["JWKS_STALE_SECONDS must not be less than JWKS_TTL_SECONDS".to_owned()].to_vec();
    assert_eq!(with(&[("JWKS_TTL_SECONDS", "7200")]), Err(stale));
    let cooldown = ["JWKS_COOLDOWN_SECONDS must not be more than JWKS_TTL_SECONDS".to_owned()].to_vec();
    assert_eq!(with(&[("JWKS_TTL_SECONDS", "20")]), Err(cooldown));
    for [ttl, cooldown, stale] in [["10", "10", "10"], ["10", "1", "10"], ["86400", "3600", "604800"]] {
        let times = [("JWKS_TTL_SECONDS", ttl), ("JWKS_COOLDOWN_SECONDS", cooldown), ("JWKS_STALE_SECONDS", stale)];
        assert_eq!(with(&times), Ok(()), "{times:?}");
    }
}

#[test]
fn an_origin_that_can_not_match_is_told_with_its_place() {
    let origins =
        |text| read(&[&REQUIRED[..], &[("CORS_ORIGINS", text)]].concat()).map(|config| config.http.cors_origins);
    let good =
        "https://*.example.com, capacitor://localhost,tauri://localhost,chrome-extension://abcdefghijklmnop, null";
    assert!(matches!(origins(good), Ok(CorsOrigins::These(these)) if these.len() == 5));
    for bad in ["https://a.example.com, https://b.example.com/canary", "null, https://*.canary", "null,"] {
        let faults = origins(bad).expect_err("a fault");
        assert!(faults.len() == 1 && faults[0].starts_with("CORS_ORIGINS has a fault: entry 2 "), "{faults:?}");
        assert!(!faults[0].contains("canary"), "{faults:?}");
    }
    assert_eq!(origins("*,https://a.example.com/,b").expect_err("faults").len(), 3);
}

#[test]
fn http_to_the_agent_needs_a_setting_and_a_private_network() {
    let agent = |url, allow| agent(&[("AGENT_URL", url), ("AGENT_ALLOW_HTTP", allow)]).map(|_| ());
    for private in [
        "http://10.0.0.5:8000/v1",
        "http://172.20.1.1/v1",
        "http://192.168.0.9/v1",
        "http://100.64.1.1/v1",
        "http://[fd00::5]:8000/v1",
        "http://agent.internal",
        "http://agent:8000/v1",
        "http://internal-alb-1.eu-central-1.elb.amazonaws.com/v1",
    ] {
        assert_eq!(agent(private, "true"), Ok(()), "{private}");
        let fault =
            "AGENT_URL must be https (http only to this machine; to a private network with AGENT_ALLOW_HTTP=true)";
        for unset in ["false", ""] {
            assert_eq!(agent(private, unset), Err(vec![fault.to_owned()]), "{private}");
        }
    }
    for public in ["http://8.8.8.8/v1", "http://[2001:db8::1]/v1", "http://169.254.169.254/latest", "ftp://10.0.0.5/v1"]
    {
        assert!(agent(public, "true").is_err(), "{public}");
    }
    for here in ["http://127.0.0.1:9003/v1", "https://8.8.8.8/v1", "https://agent.internal"] {
        assert_eq!((agent(here, "true"), agent(here, "false")), (Ok(()), Ok(())), "{here}");
    }
    assert_eq!(
        agent("https://agent.internal", "yes"),
        Err(vec!["AGENT_ALLOW_HTTP must be one of: false, true".to_owned()])
    );
}

#[test]
fn the_agents_authorities_are_read_at_the_start() {
    let at = |file: &str| agent(&[("AGENT_URL", "https://agent.internal/v1"), ("AGENT_CA_FILE", file)]).map(|_| ());
    assert_eq!(at("/nowhere/ca.pem"), Err(vec!["AGENT_CA_FILE can't be read".to_owned()]));
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    assert_eq!(at(readme), Err(vec!["AGENT_CA_FILE holds no certificate".to_owned()]));
}

#[test]
fn a_secret_is_a_text_or_where_one_is_kept() {
    const ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:colloquy/app-AbCdEf";
    let at = |arn| [("DATABASE_SECRET_ARN", arn), REQUIRED[1], ("AGENT_URL", "https://agent.example.com/v1")];
    let config = read(&[&at(ARN)[..], &[("AGENT_API_KEY_SECRET_ARN", ARN)]].concat()).expect("good settings");
    let Secret::Stored(stored) = &config.database.url else { panic!("{:?}", config.database.url) };
    assert_eq!(
        (stored.setting, stored.arn.as_str(), stored.region.as_str()),
        ("DATABASE_SECRET_ARN", ARN, "eu-central-1")
    );
    assert!(matches!(config.agent.expect("an agent").api_key, Some(Secret::Stored(_))));

    let twice = [("DATABASE_URL", "postgresql://x"), ("AGENT_API_KEY", "canary"), ("AGENT_API_KEY_SECRET_ARN", ARN)];
    let faults = read(&[&at(ARN)[..], &twice].concat()).expect_err("faults");
    assert_eq!(
        faults,
        [
            "DATABASE_URL and DATABASE_SECRET_ARN are both set, where one would do",
            "AGENT_API_KEY and AGENT_API_KEY_SECRET_ARN are both set, where one would do"
        ]
    );
    for bad in [
        "colloquy/app",
        "arn:aws:s3:::canary",
        "arn:aws:secretsmanager::123456789012:secret:x",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:",
        "postgresql://canary:canary@canary/canary",
    ] {
        let faults = read(&at(bad)).expect_err("faults");
        assert_eq!(faults, ["DATABASE_SECRET_ARN is not the ARN of a secret"], "{bad}");
    }
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

/// These settings beside the two that are required.
fn agent(settings: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    read(&[&REQUIRED[..], settings].concat())
}

#[test]
fn without_an_agent_there_are_histories_only() {
    assert!(read(&REQUIRED).expect("good settings").agent.is_none());
    // What is said of an agent that isn't there isn't read.
    assert!(agent(&[("AGENT_MODEL", "m"), ("AGENT_PROTOCOL", "odd")]).expect("good settings").agent.is_none());
}

#[test]
fn an_agent_is_a_url_and_the_rest_can_be_set() {
    let config =
        agent(&[("AGENT_URL", "https://agent.example.com/v1")]).expect("good settings").agent.expect("an agent");
    assert_eq!((config.protocol, config.send_user), (AgentProtocol::OpenAi, SendUser::Nothing));
    assert_eq!((config.history_messages, config.history_chars), (20, 24_000));
    assert!(config.think_tags);
    assert!(config.files.takes("image/png") && !config.files.takes("image/svg+xml"));
    let waits = [config.connect_timeout, config.first_byte_timeout, config.idle_timeout].map(|wait| wait.as_secs());
    assert_eq!((waits, config.total_timeout), ([5, 60, 30], None));
    assert!(config.model.is_none() && config.api_key.is_none() && config.headers.is_empty() && config.body.is_empty());

    let settings = [
        ("AGENT_URL", "http://127.0.0.1:9004/v1"),
        ("AGENT_PROTOCOL", "ui-message-stream"),
        ("AGENT_API_KEY", "key"),
        ("AGENT_MODEL", "m-1"),
        ("AGENT_HEADERS", r#"{"api-key":"secret","X-Team":"hr"}"#),
        ("AGENT_BODY", r#"{"extra_body":{"reference":true}}"#),
        ("AGENT_SYSTEM_PROMPT", "Be brief."),
        ("AGENT_THINK_TAGS", "off"),
        ("AGENT_FILES", "none"),
        ("AGENT_HISTORY_MESSAGES", "6"),
        ("AGENT_SEND_USER", "token"),
        ("AGENT_TOTAL_SECONDS", "600"),
    ];
    let config = agent(&settings).expect("good settings").agent.expect("an agent");
    assert_eq!((config.protocol, config.send_user), (AgentProtocol::UiMessageStream, SendUser::Token));
    assert_eq!(config.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["x-team", "api-key"]);
    assert!(config.headers.iter().all(|(_, value)| value.is_sensitive()));
    assert_eq!(config.body["extra_body"]["reference"], true);
    assert_eq!((config.history_messages, config.total_timeout), (6, Some(Duration::from_mins(10))));
    assert!(config.files.is_none() && !config.think_tags);
    let printed = format!("{config:?}");
    assert!(!["key", "secret", "brief", "reference", "9004"].iter().any(|it| printed.contains(it)), "{printed}");
}

#[test]
fn a_malformed_agent_is_told_at_once() {
    let settings = [
        ("AGENT_URL", "http://agent.example.com/v1"),
        ("AGENT_PROTOCOL", "smoke-signals"),
        ("AGENT_API_KEY", "a\nkey"),
        ("AGENT_HEADERS", r#"{"host":"elsewhere"}"#),
        ("AGENT_BODY", r#"{"stream":false}"#),
        ("AGENT_THINK_TAGS", "sometimes"),
        ("AGENT_FILES", "pictures"),
        ("AGENT_FILE_BYTES", "0"),
        ("AGENT_HISTORY_MESSAGES", "0"),
        ("AGENT_SEND_USER", "everything"),
        ("AGENT_TOTAL_SECONDS", "long"),
    ];
    let faults = agent(&settings).expect_err("faults");
    let mut faults: Vec<&str> = faults.iter().map(|fault| fault.split(' ').next().expect("a name")).collect();
    faults.sort_unstable();
    let mut named = settings.map(|(name, _)| name);
    named.sort_unstable();
    assert_eq!(faults, named);
    for bad in ["[]", "x", r#"{"a b":"c"}"#, r#"{"a":1}"#, r#"{"a":"line\nbreak"}"#, r#"{"Content-Type":"text/plain"}"#]
    {
        assert!(agent(&[("AGENT_URL", "https://a.example"), ("AGENT_HEADERS", bad)]).is_err(), "{bad}");
    }
}

#[test]
fn the_files_that_an_agent_takes_are_a_word_or_a_list() {
    let files = |text| {
        let config = agent(&[("AGENT_URL", "https://a.example"), ("AGENT_FILES", text)]).ok()?;
        config.agent.map(|agent| agent.files)
    };
    for (text, media_type, takes) in [
        ("none", "image/png", false),
        ("images", "image/webp", true),
        ("images", "application/pdf", false),
        ("all", "application/pdf", true),
        ("all", "", true),
        ("Image/*, application/PDF", "image/heic", true),
        ("image/*, application/pdf", "application/pdf", true),
        ("image/*, application/pdf", "imagery/pdf", false),
        ("image/*", "", false),
    ] {
        assert_eq!(files(text).expect(text).takes(media_type), takes, "{text}: {media_type}");
    }
    for bad in ["image", "images, application/pdf", "*/png", "image/", "none,", "a b/c"] {
        assert!(files(bad).is_none(), "{bad}");
    }
}
