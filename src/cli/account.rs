//! Whose cloud a command speaks of.

use super::Exit;
use crate::cloud::{Access, Cloud, CloudError};
use std::ffi::OsString;

/// Whose cloud, and where.
#[derive(clap::Args, Clone, Default)]
pub struct Account {
    /// The profile of the files of the `aws` program [default: AWS_PROFILE, or `default`]
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// The region of AWS [default: AWS_REGION, or the profile's]
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Where AWS is asked, for what stands for it [default: AWS_ENDPOINT_URL]
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
}

/// Its options, all with a value.
pub const OPTIONS: [&str; 3] = ["--profile", "--region", "--endpoint-url"];

impl Account {
    /// The account that a command line names that can't be read yet.
    pub fn of(words: &[OsString]) -> Self {
        let mut account = Self::default();
        let texts: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        for (index, text) in texts.iter().enumerate() {
            let (name, value) = match text.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (&**text, texts.get(index + 1).map(|next| next.clone().into_owned())),
            };
            let fields = [&mut account.profile, &mut account.region, &mut account.endpoint_url];
            if let Some((_, field)) = OPTIONS.iter().zip(fields).find(|(option, _)| **option == name) {
                *field = value;
            }
        }
        account
    }

    /// The account; what is wrong is told.
    pub fn open(&self) -> Result<Cloud, Exit> {
        let Self { profile, region, endpoint_url } = self.clone();
        Cloud::open(&Access { profile, region, endpoint: endpoint_url }).map_err(failed)
    }
}

/// Tells what went wrong in the cloud, and what to do about it.
pub fn failed(error: CloudError) -> Exit {
    super::complain(format_args!("error: {error}\nhelp: {}", error.help()));
    Exit::Failed
}
