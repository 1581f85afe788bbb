//! The floor below a function's work in the database: a bare tokio-postgres client that sends the same statements in the
//! same pipelined way, and leaves the rows as they came.

use std::pin::Pin;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::join_all;
use tokio::runtime::Runtime;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, NoTls};

use crate::frontend::Sent;

/// A connection with a runtime of its own, single-threaded as a function's.
pub(crate) struct BareClient {
    runtime: Runtime,
    client: Client,
}

/// A parameter as it stood on the wire.
#[derive(Debug)]
struct Raw<'a>(Option<&'a [u8]>);

impl ToSql for Raw<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        Ok(self.0.map_or(IsNull::Yes, |bytes| {
            out.extend_from_slice(bytes);
            IsNull::No
        }))
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

type Work<'a> = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + 'a>>;

impl BareClient {
    pub(crate) fn connect(url: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
            tokio::spawn(connection);
            anyhow::Ok(client)
        })?;
        Ok(Self { runtime, client })
    }

    /// Sends a request's statements in one write and waits for all answers; how long that took.
    pub(crate) fn send(&self, statements: &[Sent]) -> Result<Duration> {
        let params: Vec<Vec<(Raw<'_>, Type)>> = statements
            .iter()
            .map(|sent| match sent {
                Sent::Simple(_) => Vec::new(),
                Sent::Typed { params, .. } => {
                    params.iter().map(|(of, raw)| (Raw(raw.as_deref()), of.clone())).collect()
                }
            })
            .collect();
        let params: Vec<Vec<(&(dyn ToSql + Sync), Type)>> =
            params.iter().map(|params| params.iter().map(|(raw, of)| (raw as _, of.clone())).collect()).collect();
        self.runtime.block_on(async {
            let begun = Instant::now();
            let work = statements.iter().zip(&params).map(|(sent, params)| -> Work<'_> {
                match sent {
                    Sent::Simple(sql) => Box::pin(self.client.batch_execute(sql)),
                    Sent::Typed { sql, .. } => Box::pin(async move {
                        self.client.query_typed(sql, params).await.map(std::hint::black_box).map(drop)
                    }),
                }
            });
            join_all(work).await.into_iter().collect::<Result<Vec<()>, _>>()?;
            Ok(begun.elapsed())
        })
    }

    /// Waits for something else that this connection is asked.
    pub(crate) fn ask<T>(&self, question: impl AsyncFnOnce(&Client) -> Result<T>) -> Result<T> {
        self.runtime.block_on(question(&self.client))
    }
}
