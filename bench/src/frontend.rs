//! What a function sent to PostgreSQL, read back from the wire: the bare client repeats just that, whatever it is.
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use anyhow::{Context, Result, bail};
use tokio_postgres::types::Type;

/// A statement as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sent {
    /// A simple query: BEGIN, COMMIT.
    Simple(String),
    /// A statement with its parameters, unnamed and typed.
    Typed { sql: String, params: Vec<(Type, Option<Vec<u8>>)> },
}

/// Reads the messages of one request, or of several.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<Sent>> {
    let mut messages = Reader(bytes);
    let mut sent = Vec::new();
    let mut parsed: Option<(String, Vec<Type>)> = None;
    while !messages.0.is_empty() {
        let kind = messages.take(1)?[0];
        let length = usize::try_from(messages.int()?)?.checked_sub(4).context("a message shorter than its length")?;
        let mut message = Reader(messages.take(length)?);
        match kind {
            b'Q' => sent.push(Sent::Simple(message.text()?)),
            b'P' => {
                if !message.text()?.is_empty() {
                    bail!("a named statement: the function's way to the database has changed, and this with it");
                }
                let sql = message.text()?;
                let types = (0..message.short()?).map(|_| message.param_type()).collect::<Result<_>>()?;
                parsed = Some((sql, types));
            }
            b'B' => {
                let (sql, types) = parsed.take().context("a bind without its statement")?;
                sent.push(Sent::Typed { sql, params: message.params(types)? });
            }
            // Describe, Execute, Sync, Flush, Close: the client sends its own.
            b'D' | b'E' | b'S' | b'H' | b'C' => {}
            other => bail!("an unknown message {:?}", char::from(other)),
        }
    }
    Ok(sent)
}

/// The same request with another name in it, of the same length: an append that isn't a repetition.
pub(crate) fn renamed(sent: &[Sent], from: &str, to: &str) -> Vec<Sent> {
    assert_eq!(from.len(), to.len(), "a value's length stands before it, too");
    let rename = |value: &[u8]| {
        let mut value = value.to_vec();
        if let Some(at) = value.windows(from.len()).position(|window| window == from.as_bytes()) {
            value[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
        value
    };
    let statement = |sent: &Sent| match sent {
        Sent::Simple(sql) => Sent::Simple(sql.clone()),
        Sent::Typed { sql, params } => Sent::Typed {
            sql: sql.clone(),
            params: params.iter().map(|(of, value)| (of.clone(), value.as_deref().map(rename))).collect(),
        },
    };
    sent.iter().map(statement).collect()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).context("a message that is cut off")?;
        self.0 = rest;
        Ok(taken)
    }

    fn int(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take(4)?.try_into()?))
    }

    fn short(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.take(2)?.try_into()?))
    }

    fn text(&mut self) -> Result<String> {
        let end = self.0.iter().position(|byte| *byte == 0).context("a text without its end")?;
        let text = std::str::from_utf8(self.take(end)?)?.to_owned();
        self.take(1)?;
        Ok(text)
    }

    fn param_type(&mut self) -> Result<Type> {
        let oid = u32::from_be_bytes(self.take(4)?.try_into()?);
        Type::from_oid(oid).with_context(|| format!("the type {oid} isn't built in"))
    }

    /// The parameters of a bind.
    fn params(&mut self, types: Vec<Type>) -> Result<Vec<(Type, Option<Vec<u8>>)>> {
        self.text()?;
        self.text()?;
        let formats = (0..self.short()?).map(|_| self.short()).collect::<Result<Vec<_>>>()?;
        let count = usize::from(self.short()?);
        if count != types.len() || (count > 0 && (formats.is_empty() || formats.iter().any(|format| *format != 1))) {
            bail!("{count} parameters of {} types in the formats {formats:?}, not all binary", types.len());
        }
        let value = |of: Type| {
            let length = self.int()?;
            let value = usize::try_from(length).ok().map(|length| self.take(length)).transpose()?;
            anyhow::Ok((of, value.map(<[u8]>::to_vec)))
        };
        types.into_iter().map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind], (u32::try_from(body.len()).unwrap() + 4).to_be_bytes().as_slice(), body].concat()
    }

    fn request() -> Vec<u8> {
        let parse = [b"\0select $1, $2\0\0\x02".as_slice(), &25_u32.to_be_bytes(), &20_u32.to_be_bytes()].concat();
        let bind = b"\0\0\0\x01\0\x01\0\x02\0\0\0\x03abc\xff\xff\xff\xff\0\x01\0\x01";
        let parts = [(b'Q', b"BEGIN\0".to_vec()), (b'P', parse), (b'B', bind.to_vec()), (b'E', vec![]), (b'S', vec![])];
        parts.iter().flat_map(|(kind, body)| message(*kind, body)).collect()
    }

    #[test]
    fn a_request_is_read_back() {
        let params = vec![(Type::TEXT, Some(b"abc".to_vec())), (Type::INT8, None)];
        let expected = [Sent::Simple("BEGIN".to_owned()), Sent::Typed { sql: "select $1, $2".to_owned(), params }];
        assert_eq!(parse(&request()).unwrap(), expected);
        let Sent::Typed { params, .. } = &renamed(&expected, "bc", "xy")[1] else { panic!("typed") };
        assert_eq!(params[0].1.as_deref(), Some(b"axy".as_slice()));
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        let whole = request();
        let ends: Vec<usize> = (1..whole.len()).filter(|end| parse(&whole[..*end]).is_ok()).collect();
        assert_eq!(ends.len(), 4, "only between two messages: {ends:?}");
    }
}
