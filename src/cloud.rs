//! AWS: what a workflow needs there is made, changed and removed; runs are started there, watched, and stopped.

mod account;
mod bucket;
mod deploy;
mod error;
mod function;
mod logs;
mod machine;
mod project;
mod remote;
mod resource;
mod role;
mod signed;
mod story;
mod worker;
mod xml;

pub use account::{Access, Cloud};
pub use bucket::Objects;
pub use deploy::{Deployment, Order, Planned, Record, Removal};
pub use error::CloudError;
pub use project::{Gatherer, Project};
pub use remote::{Remote, Run, Standing};
pub use resource::Change;
pub use story::Story;
pub use worker::Worker;
