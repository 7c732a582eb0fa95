//! How a round begins.

use super::{Member, SyncError, pulse, pulse::Pulse};
use bytes::Bytes;
use std::sync::{Arc, atomic::Ordering::SeqCst};

/// Says hello, waits for all others, and beats from then on.
///
/// # Errors
/// When one does not come, or is of another build.
pub(super) fn join(member: &Arc<Member>) -> Result<Pulse, SyncError> {
    let hello = |rank: usize| member.key(&[&"hello", &rank]);
    let ours = &member.own.build;
    member.store.put(&[(hello(member.own.rank), Bytes::copy_from_slice(ours.as_bytes())), pulse::beat(member, 0)])?;
    let pulse = Pulse::start(Arc::clone(member));
    let others: Vec<_> = member.others().map(|rank| (rank, hello(rank))).collect();
    for ((rank, _), theirs) in others.iter().zip(member.wait_once(&others)?) {
        if theirs != ours.as_bytes() {
            let (theirs, ours) = (String::from_utf8_lossy(&theirs).into_owned(), ours.clone());
            return Err(SyncError::Build { rank: rank + 1, of: member.own.of, theirs, ours });
        }
    }
    member.met.store(true, SeqCst);
    Ok(pulse)
}
