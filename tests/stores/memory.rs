use crate::conformance;
use smlt::store::Memory;
use std::{sync::Arc, time::Duration};

#[test]
fn conforms() {
    let store = Arc::new(Memory::default());
    conformance::hold(&|| store.clone());
}

#[test]
fn what_is_not_used_goes() {
    conformance::expires(&Memory::new(Duration::from_millis(600)), Duration::from_millis(600));
}
