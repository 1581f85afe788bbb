//! Connections: as many as the environment serves requests at a time, each replaced when it is dead.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use deadpool_postgres::{Connect, Hook, HookError, Manager, ManagerConfig, Object, RecyclingMethod, Runtime, Timeouts};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::{Client, Config, Error, NoTls};

use super::address::Address;
use super::failure::Failure;
use crate::config::{DatabaseConfig, Secret};
use crate::metrics;
use crate::secrets::Credential;

/// The connections.
pub(super) struct Pool {
    connections: deadpool_postgres::Pool,
    address: Arc<Credential<Address>>,
}

/// Opens connections to the address that holds at the moment.
struct Connector(Arc<Credential<Address>>);

/// Which role this is, and whether row-level security binds it.
const ROLE: &str = "
    select current_user::text, r.rolsuper, r.rolbypassrls, exists (
        select from pg_catalog.pg_class c
        where c.relnamespace = 'public'::regnamespace
            and c.relname in ('users', 'conversations', 'messages', 'runs', 'run_chunks', 'quota_usage')
            and pg_has_role(c.relowner, 'MEMBER'))
    from pg_catalog.pg_roles r where r.rolname = current_user";

impl Pool {
    /// Fails with what is wrong with `DATABASE_URL`, of which it doesn't repeat the name.
    pub(super) fn new(config: &DatabaseConfig) -> Result<Self, String> {
        let connect_timeout = config.connect_timeout;
        let is_url = matches!(config.url, Secret::Text(_));
        let address = Arc::new(Credential::new(&config.url, move |text| {
            if is_url {
                Address::parse(text, connect_timeout).map_err(|bad| bad.to_string())
            } else {
                Address::of_secret(text, connect_timeout)
            }
        })?);
        // `Fast`: a statement to prove a connection would be a second round trip of every request.
        let manager = Manager::from_connect(
            Config::new(),
            Connector(Arc::clone(&address)),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let connections = deadpool_postgres::Pool::builder(manager)
            .max_size(config.pool_size)
            .timeouts(Timeouts { wait: None, create: Some(connect_timeout), recycle: None })
            .runtime(Runtime::Tokio1)
            .post_create(Hook::async_fn(|client, _| Box::pin(refuse_powerful_roles(client))))
            .pre_recycle(Hook::async_fn(|client, _| Box::pin(notice_a_closed_connection(client))))
            .build()
            .map_err(|_| "needs a tokio runtime")?;
        Ok(Self { connections, address })
    }

    /// A connection for one request. A server that is waking or restarting tells so whoever connects. Nothing was sent
    /// then, so it is asked again, as long as the request has time.
    pub(super) async fn lease(&self, deadline: Instant) -> Result<Lease, Failure> {
        let mut failure = match self.connection().await {
            Ok(connection) => return Ok(Lease(Some(connection))),
            Err(failure) => failure,
        };
        for pause in pauses() {
            if !failure.will_pass() || Instant::now() + pause >= deadline {
                break;
            }
            tracing::debug!(cause = %failure, "connecting to the database again");
            sleep(pause).await;
            match timeout_at(deadline, self.connection()).await {
                Ok(Ok(connection)) => return Ok(Lease(Some(connection))),
                Ok(Err(next)) => failure = next,
                Err(_) => break,
            }
        }
        metrics::record(metrics::Event::DatabaseRefused);
        Err(failure)
    }

    /// Where the database refuses the password, the secret is read once more, and if there is another one, that is tried.
    async fn connection(&self) -> Result<Object, Failure> {
        let address = self.address.get().await?;
        match self.connections.get().await.map_err(Failure::from) {
            Err(failure) if failure.refuses_the_password() && self.address.after(&address).await.is_some() => {
                tracing::info!("the database's secret was rotated");
                Ok(self.connections.get().await?)
            }
            connection => connection,
        }
    }

    /// Lets the next request read a secret at once that a start couldn't.
    pub(super) async fn try_again_at_once(&self) {
        self.address.waive_pause().await;
    }

    /// Ends the connections that wait for a request.
    pub(super) fn forget_idle(&self) {
        self.connections.retain(|_, _| false);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("status", &self.connections.status()).finish_non_exhaustive()
    }
}

/// Not to the configuration that the pool gives: that is an empty one, since the secret may not have been read yet.
impl Connect for Connector {
    fn connect(
        &self,
        nowhere: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        let (address, nowhere) = (self.0.held(), nowhere.clone());
        Box::pin(async move {
            match address {
                Some(address) => address.connect().await,
                // Nobody leases a connection before there is an address. This is the driver's word that a host is missing.
                None => nowhere.connect(NoTls).await.map(|(client, _)| (client, tokio::spawn(async {}))),
            }
        })
    }
}

/// How long to wait before each further attempt: more each time, up to a second, and less than that by up to a half, so
/// that the functions that a restart turned away don't come back all at once.
fn pauses() -> impl Iterator<Item = Duration> {
    const MOST: usize = 10;
    let longest = |n: usize| Duration::from_millis((50 << n).min(1_000));
    (0..MOST).map(longest).map(|longest| {
        let mut random = [0];
        // Were there no random number, the pause would be the shortest.
        let _ = rand::fill(&mut random);
        longest / 2 + longest * u32::from(random[0]) / 512
    })
}

/// A connection while one request uses it. Unless it is given back it ends: a request that was dropped still runs, and
/// the next would queue behind it.
pub(super) struct Lease(Option<Object>);

impl Lease {
    /// The connection, for one request at a time.
    pub(super) fn client(&mut self) -> Result<&mut Client, Failure> {
        self.0.as_mut().map(|object| &mut ***object).ok_or_else(Failure::lease_ended)
    }

    /// Lets the next request have the connection: all answers were read.
    pub(super) fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}

/// A server that closed the connection, while a Lambda environment was frozen, say, is noticed by the connection's task
/// as soon as that runs: it is let run twice, then asked.
async fn notice_a_closed_connection(client: &Client) -> Result<(), HookError> {
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    if client.is_closed() {
        metrics::record(metrics::Event::DatabaseReconnected);
        return Err(HookError::message("closed while it was idle"));
    }
    Ok(())
}

/// Row-level security binds neither a superuser nor a role with BYPASSRLS, and an owner can switch it off. With such a
/// role the second wall would be painted on.
async fn refuse_powerful_roles(client: &Client) -> Result<(), HookError> {
    let row = client.query_typed_one(ROLE, &[]).await.map_err(HookError::Backend)?;
    let read = |error| HookError::Backend(error);
    let role: String = row.try_get(0).map_err(read)?;
    let powers = [(1, "is a superuser"), (2, "has BYPASSRLS"), (3, "owns the tables, or is a member of their owner")];
    for (column, power) in powers {
        if row.try_get(column).map_err(read)? {
            return Err(HookError::message(format!(
                "the role {role} {power}, so row-level security can't hold; use colloquy_app"
            )));
        }
    }
    Ok(())
}
