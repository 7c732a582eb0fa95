//! The address of one or several Redis servers.

use super::tls;
use rustls::ClientConfig;
use std::sync::Arc;

const PORT: u16 = 6379;

/// Where servers are, and how they are spoken to.
pub(super) struct Address {
    /// The name or the number of each, and its port.
    pub hosts: Vec<(String, u16)>,
    pub access: Arc<Access>,
}

/// How each server of an address is spoken to.
pub(super) struct Access {
    /// What `AUTH` is given: a password, or a name before it; nothing where there is neither.
    pub login: Vec<String>,
    pub database: u32,
    /// Whom to trust; nobody is asked where there is no TLS.
    pub tls: Option<Arc<ClientConfig>>,
}

impl Address {
    /// Reads `redis://[[user]:password@]host[:port][,host[:port]…][/database]`, or `rediss://…[?ca=PATH]` for TLS.
    ///
    /// # Errors
    /// What is wrong with it. The address is not repeated, for it may hold a password.
    pub fn parse(address: &str) -> Result<Self, String> {
        let (scheme, rest) = address.split_once("://").ok_or("it has no `://`")?;
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) =
            authority.rsplit_once('@').map_or((None, authority), |(login, hosts)| (Some(login), hosts));
        let ca = match query.map(|query| query.strip_prefix("ca=")) {
            None => None,
            Some(Some(path)) if scheme == "rediss" => Some(decode(path)?),
            Some(Some(_)) => return Err("`?ca=` is for `rediss://`".to_owned()),
            Some(None) => return Err("behind the `?` can only stand `ca=` and the path of a certificate".to_owned()),
        };
        let hosts: Vec<_> = hosts.split(',').map(host).collect::<Option<_>>().ok_or("a host is none")?;
        let login = login.map_or(Ok(Vec::new()), self::login)?;
        let database = if database.is_empty() { Ok(0) } else { database.parse() };
        let database = database.map_err(|_| "its database is no number")?;
        let tls = if scheme == "rediss" { Some(Arc::new(tls::trust(ca.as_deref())?)) } else { None };
        Ok(Self { hosts, access: Arc::new(Access { login, database, tls }) })
    }
}

fn host(text: &str) -> Option<(String, u16)> {
    // The colons of a number of IPv6 stand in brackets.
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = if port.is_empty() { PORT } else { port.strip_prefix(':')?.parse().ok()? };
    let is_name = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control());
    is_name.then(|| (name.to_owned(), port))
}

fn login(text: &str) -> Result<Vec<String>, String> {
    let (user, password) = text.split_once(':').ok_or("it names a user without a password")?;
    [user, password].into_iter().filter(|word| !word.is_empty()).map(decode).collect()
}

/// A text in which `%` and two digits stand for a byte.
fn decode(text: &str) -> Result<String, String> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let digits = piece.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or("a `%` in it is not followed by two digits of a byte; it is itself written as `%25`")?);
        bytes.extend(&piece.as_bytes()[2..]);
    }
    String::from_utf8(bytes).map_err(|_| "what `%` stands for in it is no text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_part_is_read() {
        let address = Address::parse("redis://us%65r:p%40ss:w%25rd@one,two:1,[::1]:2,[::2]/3").unwrap();
        let hosts = [("one", PORT), ("two", 1), ("::1", 2), ("::2", PORT)];
        assert_eq!(address.hosts, hosts.map(|(host, port)| (host.to_owned(), port)));
        assert_eq!(address.access.login, ["user", "p@ss:w%rd"]);
        assert_eq!(address.access.database, 3);
        assert!(address.access.tls.is_none());
        assert_eq!(Address::parse("redis://:p@one/").unwrap().access.login, ["p"]);
    }

    proptest! {
        #[test]
        fn anything_can_be_read(rest in "[a%@:,/?\\[\\]ä0-9]{0,20}") {
            let _ = Address::parse(&format!("redis://{rest}"));
        }
    }
}
