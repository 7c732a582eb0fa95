//! A parameter store in Redis, Valkey, or several of them.

mod address;
mod connection;
mod node;
mod reply;
mod tls;

use super::{Key, ParameterError, ParameterStore, Terms, Traffic, parameters::Meter, patience::gather};
use address::Address;
use bytes::Bytes;
use node::Node;
use std::{panic::resume_unwind, sync::Arc, thread, time::Duration};

/// A parameter store of one or several Redis servers, over which the keys are spread.
pub struct Redis {
    nodes: Vec<Node>,
    terms: Terms,
    meter: Meter,
}

impl Redis {
    /// The servers of `redis://[[user]:password@]host[:port][,host[:port]…][/database]`, or `rediss://…[?ca=PATH]` for TLS.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub(super) fn parse(address: &str, terms: Terms) -> Result<Self, String> {
        let Address { hosts, access } = Address::parse(address)?;
        let node = |(host, port)| Node::new(host, port, Arc::clone(&access), terms.clone());
        Ok(Self { nodes: hosts.into_iter().map(node).collect(), terms, meter: Meter::default() })
    }

    /// Asks each server whether it is there.
    pub(super) fn knock(&self) -> Result<(), ParameterError> {
        self.on_each(self.nodes.iter().map(|node| (node, ())), |node, ()| node.knock()).map(drop)
    }

    /// The name of a key on the servers, and which of them has it.
    fn place(&self, key: &Key) -> (Key, usize) {
        let name = key.below(&self.terms.run);
        // Keys that differ in their numbers alone are dealt out in turn: each node gets equally many.
        let mut hasher = blake3::Hasher::new();
        let mut turn = 0_u64;
        for part in name.as_str().split('/') {
            match part.parse::<u64>() {
                Ok(number) => turn = turn.wrapping_add(number),
                Err(_) => _ = hasher.update(part.as_bytes()),
            }
        }
        let [a, b, c, d, ..] = *hasher.finalize().as_bytes();
        let node = (turn.wrapping_add(u64::from(u32::from_le_bytes([a, b, c, d]))) % self.nodes.len() as u64) as usize;
        (name, node)
    }

    /// Does `work` on several nodes at a time.
    fn on_each<'a, P: Send, T: Send>(
        &'a self,
        parts: impl IntoIterator<Item = (&'a Node, P)>,
        work: impl Fn(&Node, P) -> Result<T, ParameterError> + Sync,
    ) -> Result<Vec<T>, ParameterError> {
        let mut parts: Vec<_> = parts.into_iter().collect();
        let Some((own_node, own)) = parts.pop() else { return Ok(Vec::new()) };
        thread::scope(|scope| {
            let work = &work;
            let others: Vec<_> = parts.into_iter().map(|(node, part)| scope.spawn(move || work(node, part))).collect();
            let last = work(own_node, own);
            let others = others.into_iter().map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic)));
            others.collect::<Vec<_>>().into_iter().chain([last]).collect()
        })
    }

    /// Which of `keys` each node has. Nodes that have none are left out.
    fn spread<'a>(&self, keys: impl Iterator<Item = &'a Key>) -> Vec<(&Node, Part)> {
        let mut parts: Vec<_> = self.nodes.iter().map(|node| (node, Part::default())).collect();
        for (place, key) in keys.enumerate() {
            let (name, node) = self.place(key);
            parts[node].1.places.push(place);
            parts[node].1.names.push(name);
        }
        parts.retain(|(_, part)| !part.places.is_empty());
        parts
    }
}

/// What a node has of the keys of a request.
#[derive(Debug, Default)]
struct Part {
    /// Their places in the request.
    places: Vec<usize>,
    /// Their names on the servers.
    names: Vec<Key>,
}

impl ParameterStore for Redis {
    fn put(&self, blobs: &[(Key, Bytes)]) -> Result<(), ParameterError> {
        let parts = self.spread(blobs.iter().map(|(key, _)| key));
        self.on_each(parts, |node, part| {
            let own: Vec<_> = part.names.into_iter().zip(part.places.iter().map(|place| &blobs[*place].1)).collect();
            node.put(&own)
        })?;
        self.meter.put(blobs);
        Ok(())
    }

    fn get(&self, keys: &[Key], patience: Duration) -> Result<Vec<Option<Bytes>>, ParameterError> {
        let mut found = vec![None; keys.len()];
        let parts = self.spread(keys.iter());
        let parts = self.on_each(parts, |node, part| {
            let blobs = gather(&part.names, patience, |names, turn| node.get(names, turn))?;
            Ok(part.places.into_iter().zip(blobs).collect::<Vec<_>>())
        })?;
        for (place, blob) in parts.into_iter().flatten() {
            found[place] = blob;
        }
        self.meter.got(&found);
        Ok(found)
    }

    fn remove(&self, keys: &[Key]) -> Result<(), ParameterError> {
        self.on_each(self.spread(keys.iter()), |node, part| node.unlink(&part.names)).map(drop)
    }

    fn clear(&self, prefix: &Key) -> Result<(), ParameterError> {
        let prefix = prefix.below(&self.terms.run);
        self.on_each(self.nodes.iter().map(|node| (node, ())), |node, ()| node.clear(&prefix)).map(drop)
    }

    fn traffic(&self) -> Traffic {
        self.meter.read()
    }
}
