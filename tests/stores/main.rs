//! The parameter stores: one list of checks for all of them, and what each can fail at.

mod conformance;
mod memory;
mod served;
