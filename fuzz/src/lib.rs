//! What the fuzz targets share.

use std::thread;

/// Does something on as large a stack as the program has; a panic goes through.
pub fn on_a_large_stack(work: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(256 << 20).spawn_scoped(scope, work);
        thread.expect("the system gives a stack").join().expect("a panic has ended the process");
    });
}
