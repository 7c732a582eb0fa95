//! AWS: what a workflow needs there is made, changed and removed; runs are started there, watched, and stopped.

mod account;
mod bucket;
mod deploy;
mod error;
mod executions;
mod function;
mod logs;
mod machine;
mod project;
mod resource;
mod role;
mod signed;
mod story;
mod worker;
mod xml;

pub use account::{Access, Cloud};
pub use deploy::{Deployment, Order, Planned, Record, Removal};
pub use error::CloudError;
pub use executions::{Executions, Run, Standing};
pub use project::{Gatherer, Project};
pub use resource::Change;
pub use story::Story;
pub use worker::Worker;
