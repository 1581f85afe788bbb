//! The connection URL: what libpq's users write, made safe and made what the driver understands.
//!
//! The driver knows three of libpq's six `sslmode`s, refuses what other libraries add (`pgbouncer=true`), and its
//! `require` trusts any certificate that its connector does. Here a connection that leaves this machine is encrypted and
//! the server's certificate verified, whatever the mode, unless the URL says `sslmode=disable` outright.
//! <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING>

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rustls::RootCertStore;
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::secret::connection_url;
use crate::config::is_loopback;
use crate::tls;

/// Where the database is, who signs in, and how the way is secured.
#[derive(Clone)]
pub(super) struct Address {
    config: Config,
    tls: Option<MakeRustlsConnect>,
}

/// What is wrong with a URL, completing "the URL …". Never holds the URL: there is a password in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadAddress(Cow<'static, str>);

impl fmt::Display for BadAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadAddress {}

/// What the driver is given of libpq's parameters, as they are.
const PASSED: &[&str] = &[
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "sslnegotiation",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// How the way to the server is secured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Security {
    /// TLS, except to this machine.
    Default,
    /// TLS, to this machine too.
    Required,
    /// None: the URL says so.
    Disabled,
}

impl Address {
    /// Reads a URL. `connect_timeout` holds for the socket of each address; how long signing in may take, too, is for
    /// the caller to bound.
    pub(super) fn parse(url: &str, connect_timeout: Duration) -> Result<Self, BadAddress> {
        let (url, pairs) = split(url);
        let mut security = Security::Default;
        let mut roots = None;
        let mut passed = Vec::new();
        for pair in pairs {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (decode(name)?.as_ref(), decode(value)?.as_ref()) {
                // What holds anyway. Nothing here hangs on the session, so any pooler serves.
                ("sslmode", "allow" | "prefer") | ("sslrootcert", "system") | ("pgbouncer", "true" | "false") => {}
                ("sslmode", "disable") => security = Security::Disabled,
                ("sslmode", "require" | "verify-ca" | "verify-full") => security = Security::Required,
                ("sslrootcert", path) => roots = Some(read_roots(path)?),
                (name @ ("sslmode" | "pgbouncer"), _) => return Err(bad_value(name)),
                (name, _) if PASSED.contains(&name) => passed.push(pair),
                (name, _) => return Err(unknown_parameter(name)),
            }
        }
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(BadAddress("must begin with postgresql://".into()));
        }
        let url = if passed.is_empty() { url.to_owned() } else { format!("{url}?{}", passed.join("&")) };
        let mut config = Config::from_str(&url).map_err(|error| refused_by_driver(&error))?;
        if config.get_hosts().is_empty() {
            return Err(BadAddress("names no host".into()));
        }
        let only_here = config.get_hosts().iter().all(|host| match host {
            Host::Tcp(name) => is_loopback(name),
            Host::Unix(_) => true,
        }) && config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback);
        let encrypted = match security {
            Security::Disabled => false,
            Security::Required => true,
            Security::Default => !only_here,
        };
        set_defaults(&mut config, connect_timeout);
        config.ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable });
        let tls = if encrypted {
            let client = tls::client_config(roots.unwrap_or_else(tls::web_roots))
                .map_err(|error| BadAddress(format!("needs TLS, which can't be had: {error}").into()))?;
            Some(MakeRustlsConnect::new(client))
        } else {
            None
        };
        Ok(Self { config, tls })
    }

    /// Reads a secret's text: a URL, or JSON. Fails with what is wrong, completing "the secret …".
    pub(super) fn of_secret(text: &str, connect_timeout: Duration) -> Result<Self, String> {
        let url = connection_url(text)?;
        Self::parse(&url, connect_timeout).map_err(|bad| format!("holds a URL that {bad}"))
    }

    /// What the driver is given.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Whether the way is encrypted and the server's certificate verified.
    pub(super) fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether the host is that of Neon's pooler, which gives no session of one's own.
    pub(super) fn is_neons_pooler(&self) -> bool {
        let of_neon = |name: &str| name.split('.').next().is_some_and(|endpoint| endpoint.ends_with("-pooler"));
        self.config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(name) if of_neon(name)))
    }

    /// Opens a connection, and lets a task of its own move its bytes.
    pub(super) async fn connect(&self) -> Result<(Client, JoinHandle<()>), Error> {
        if let Some(tls) = &self.tls {
            let (client, connection) = self.config.connect(tls.clone()).await?;
            Ok((client, tokio::spawn(drive(connection))))
        } else {
            let (client, connection) = self.config.connect(NoTls).await?;
            Ok((client, tokio::spawn(drive(connection))))
        }
    }
}

/// How a connection ended: a request in flight is told by its own error, so this is for debugging alone.
async fn drive(connection: impl Future<Output = Result<(), Error>>) {
    if let Err(error) = connection.await {
        tracing::debug!(sqlstate = error.code().map(tokio_postgres::error::SqlState::code), "a connection ended");
    }
}

/// What the URL leaves open. A peer that is gone without a word is noticed after 4 seconds where something was sent,
/// and after about a minute where not.
fn set_defaults(config: &mut Config, connect_timeout: Duration) {
    if config.get_application_name().is_none() {
        config.application_name("colloquy");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(connect_timeout);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(4));
    }
    config.keepalives_idle(Duration::from_secs(30));
    config.keepalives_interval(Duration::from_secs(10));
    config.keepalives_retries(3);
}

/// The URL before the question mark, and the parameters behind it. A password may hold a question mark, so the first one
/// behind the `@` counts.
fn split(url: &str) -> (&str, impl Iterator<Item = &str>) {
    let host = url.find('@').map_or(0, |at| at + 1);
    let mark = url[host..].find('?').map(|mark| host + mark);
    let (url, parameters) = mark.map_or((url, ""), |mark| (&url[..mark], &url[mark + 1..]));
    (url, parameters.split('&').filter(|pair| !pair.is_empty()))
}

/// Undoes percent-encoding. A plus sign stays: libpq's URLs aren't forms.
fn decode(text: &str) -> Result<Cow<'_, str>, BadAddress> {
    if !text.contains('%') {
        return Ok(text.into());
    }
    let bad = || BadAddress("has a parameter that isn't percent-encoded UTF-8".into());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'%' {
            let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()).ok_or_else(bad)?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| bad())?);
            rest = &tail[2..];
        } else {
            bytes.push(byte);
            rest = tail;
        }
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| bad())
}

/// The certificate authorities of a file, which vouch for the server in the place of the web's.
fn read_roots(path: &str) -> Result<RootCertStore, BadAddress> {
    tls::roots_of_file(path).map_err(|what| BadAddress(format!("has an sslrootcert that {what}").into()))
}

fn bad_value(name: &str) -> BadAddress {
    BadAddress(format!("has a value of {name} that isn't known").into())
}

fn unknown_parameter(name: &str) -> BadAddress {
    // A malformed URL can put a part of its password here.
    let plausible = name.len() <= 40 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let name = if plausible { name } else { "whose name isn't one" };
    BadAddress(format!("has a parameter that isn't understood here: {name}").into())
}

/// The driver names the parameter that it refuses, and nothing else of the URL.
fn refused_by_driver(error: &Error) -> BadAddress {
    let known = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let named = PASSED.iter().find(|name| known.contains(&format!("`{name}`")));
    match named {
        Some(name) => bad_value(name),
        None => BadAddress("isn't a valid connection URL".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Address, BadAddress> {
        Address::parse(url, Duration::from_secs(5))
    }

    fn refusal(url: &str) -> String {
        parse(url).err().map(|bad| bad.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_plain_way_leads_to_this_machine_alone() {
        for plain in [
            "postgresql://u:p@localhost/db",
            "postgres://u:p@127.0.0.1:5433/db?sslmode=prefer",
            "postgresql://u@%2Frun%2Fpostgresql/db",
            "postgresql://u:p@db.example.com/db?sslmode=disable",
        ] {
            let address = parse(plain).unwrap();
            assert!(address.tls.is_none(), "{plain}");
            assert_eq!(address.config.get_ssl_mode(), SslMode::Disable);
        }
        for encrypted in [
            "postgresql://u:p@db.example.com/db",
            "postgresql://u:p@db.example.com/db?sslmode=prefer",
            "postgresql://u:p@db.example.com/db?sslmode=allow",
            "postgresql://u:p@localhost,db.example.com/db",
            "postgresql://u:p@localhost/db?hostaddr=192.0.2.1",
            "postgresql://u:p@localhost/db?sslmode=require",
            "postgresql://u:p@localhost/db?sslmode=verify-ca",
            "postgresql://u:p@localhost/db?sslmode=verify-full&sslrootcert=system",
        ] {
            let address = parse(encrypted).unwrap();
            assert!(address.tls.is_some(), "{encrypted}");
            assert_eq!(address.config.get_ssl_mode(), SslMode::Require);
        }
    }

    #[test]
    fn neons_url_is_understood() {
        let url = "postgresql://colloquy_app:p%40ss@ep-x-pooler.eu.aws.neon.tech/neondb?sslmode=require&\
                   channel_binding=require&pgbouncer=true&options=endpoint%3Dep-x";
        let config = parse(url).unwrap().config;
        assert_eq!(config.get_user(), Some("colloquy_app"));
        assert_eq!(config.get_password(), Some(&b"p@ss"[..]));
        assert_eq!(config.get_dbname(), Some("neondb"));
        assert_eq!(config.get_options(), Some("endpoint=ep-x"));
        assert_eq!(config.get_channel_binding(), tokio_postgres::config::ChannelBinding::Require);
    }

    #[test]
    fn a_password_may_hold_a_question_mark() {
        let config = parse("postgresql://u:p?a=b&c@localhost/db?application_name=x").unwrap().config;
        assert_eq!(config.get_password(), Some(&b"p?a=b&c"[..]));
        assert_eq!(config.get_application_name(), Some("x"));
    }

    #[test]
    fn what_is_refused_is_named_and_the_url_is_not() {
        for (url, named) in [
            ("postgresql://u:secret@h/db?sslcert=x", "sslcert"),
            ("postgresql://u:secret@h/db?sslmode=maybe", "sslmode"),
            ("postgresql://u:secret@h/db?pgbouncer=perhaps", "pgbouncer"),
            ("postgresql://u:secret@h/db?channel_binding=maybe", "channel_binding"),
            ("postgresql://u:secret@h/db?connect_timeout=soon", "connect_timeout"),
            ("postgresql://u:secret@h/db?sslrootcert=/nowhere.pem", "sslrootcert"),
            ("postgresql://u:secret@h/db?application_name=%ff", "percent-encoded"),
            ("postgresql://u:secret@h/db?Secret!=1", "whose name isn't one"),
            ("postgresql://u:secret@h:port/db", "port"),
            ("host=h password=secret", "postgresql://"),
            ("postgresql://", "host"),
            ("", "postgresql://"),
        ] {
            let refusal = refusal(url);
            assert!(refusal.contains(named), "{url}: {refusal}");
            assert!(!refusal.to_lowercase().contains("secret"), "{refusal}");
        }
    }
}
